r"""Several words in one cell, as Crossdock's own files have them: `wool | winter`, `Home > Kitchen`, `fibre=wool`.

A bar, `>`, `=` or backslash that belongs to a word has a backslash before it, and so has a space at either end of one.
"""

import re
from collections.abc import Iterable

_SPECIAL = re.compile(r"[\\|>=]|\A\s|\s\Z")
# The first character that needs a second look; most words have none.
_PLAIN = re.compile(r"(?!\s)[^\\|>=]*(?<!\s)")


def escaped_word(word: str) -> str:
    """A word that is read back as it is."""
    return word if _PLAIN.fullmatch(word) else _SPECIAL.sub(r"\\\g<0>", word)


def joined_words(words: Iterable[str]) -> str:
    return " | ".join(map(escaped_word, words))


def path_text(path: Iterable[str]) -> str:
    return " > ".join(map(escaped_word, path))
