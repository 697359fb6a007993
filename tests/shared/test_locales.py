"""Language tags: one form for each, and only of languages that there are."""

import pytest

from shared.locales import canonical_locale


@pytest.mark.feature("SEA-2", "CAT-1")
@pytest.mark.parametrize(
    ("tag", "canonical"),
    [("EN", "en"), ("pt-pt", "pt-PT"), ("sr-latn-rs", "sr-Latn-RS"), ("ja-JP", "ja-JP"), ("gsw-ch", "gsw-CH")],
)
def test_a_language_has_one_tag(tag: str, canonical: str) -> None:
    assert canonical_locale(tag) == canonical


@pytest.mark.feature("SEA-2", "CAT-1")
@pytest.mark.parametrize("tag", ["", "e", "xx", "xx-US", "english", "en_US", "en-", "12", "qx-Latn"])
def test_what_is_no_language_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="language"):
        canonical_locale(tag)
