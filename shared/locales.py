"""Language tags as everybody here writes them: one form for each."""

import re

# RFC 5646 §2.1: language, script, region, variants, extensions, private use. Grandfathered tags have modern forms.
_LOCALE = re.compile(
    r"(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)


# ISO 639-1 (https://www.loc.gov/standards/iso639-2/php/code_list.php), with what older systems still write: iw, in, ji.
_LANGUAGES = frozenset(
    (
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz "
        "ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik "
        "in io is it iu iw ja ji jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh "
        "mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw "
        "sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk "
        "ur uz ve vi vo wa wo xh yi yo za zh zu"
    ).split()
)


def canonical_locale(tag: str) -> str:
    """`pt-pt` becomes `pt-PT`. Raises ValueError for what is no language tag, and for a language that there is not.

    Languages of three letters (ISO 639-3) are thousands, and taken as they come.
    """
    found = _LOCALE.fullmatch(tag)
    if found is None:
        raise ValueError(f"'{tag}' is not a language tag of BCP 47, such as en-US or sr-Latn-RS")
    language = found["language"].split("-", 1)[0].lower()
    if len(language) > 3 or (len(language) == 2 and language not in _LANGUAGES):
        raise ValueError(f"'{language}' is not a language of ISO 639, such as en or de")
    canonical = tag.lower()
    for part, written in (("script", str.title), ("region", str.upper)):
        if found[part] is not None:
            start, end = found.span(part)
            canonical = canonical[:start] + written(canonical[start:end]) + canonical[end:]
    return canonical
