"""Language tags as everybody here writes them: one form for each."""

import re

# RFC 5646 §2.1: language, script, region, variants, extensions, private use. Grandfathered tags have modern forms.
_LOCALE = re.compile(
    r"(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)


def canonical_locale(tag: str) -> str:
    """`pt-pt` becomes `pt-PT`. Raises ValueError for what is no language tag."""
    found = _LOCALE.fullmatch(tag)
    if found is None:
        raise ValueError(f"'{tag}' is not a language tag of BCP 47, such as en-US or sr-Latn-RS")
    canonical = tag.lower()
    for part, written in (("script", str.title), ("region", str.upper)):
        if found[part] is not None:
            start, end = found.span(part)
            canonical = canonical[:start] + written(canonical[start:end]) + canonical[end:]
    return canonical
