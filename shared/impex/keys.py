"""Keys of a file's rows: handles made safe for addresses, SKUs made where there are none, and a compact set of both."""

import re
import unicodedata
from array import array

_NOT_A_WORD = re.compile(r"(?:[^\w]|_)+")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SPACE = re.compile(r"[\s_]+")
_FIRST_SLOTS = 1024


def slug(text: str) -> str:
    """`Café au lait 1/2` becomes `cafe-au-lait-1-2`; letters of other scripts stay. May be empty."""
    if _SLUG.fullmatch(text):
        return text
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _NOT_A_WORD.sub("-", unicodedata.normalize("NFC", plain).lower()).strip("-")


def folded(heading: str) -> str:
    """A heading as it is compared: upper and lower case, spaces and underscores make no difference."""
    return _SPACE.sub(" ", heading).strip().casefold()


def handle(cell: str) -> str:
    """The key that a cell gives a product: as it stands where that may be a slug, else made one. May be empty."""
    bare = cell.strip()
    return bare if is_slug(bare) else slug(bare)


def is_slug(text: str) -> bool:
    """Whether the doors take it for a slug: words in lower case, in any script, with single hyphens between them."""
    if _SLUG.fullmatch(text):
        return True
    return text == text.lower() and all(part and all(map(_is_of_a_word, part)) for part in text.split("-"))


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def generated_sku(handle: str, option_values: tuple[str, ...]) -> str:
    """The SKU of a variant that has none: `classic-varsity-top`, `Small` gives `CLASSIC-VARSITY-TOP-SMALL`."""
    return "-".join(part for part in (handle, *map(slug, option_values)) if part).upper()


class KeyIndex:
    """On which row a key was first seen, in about 24 bytes a key, whatever its length.

    Keys are told apart by 64 bits of hash: among ten million of them the chance that any two are taken for the same
    is 3 in a million.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(_FIRST_SLOTS)

    def add(self, key: str, row: int) -> int | None:
        """Remember `key`, or return the row that has it already."""
        digest = _digest(key)
        hashes, mask = self._hashes, self._mask
        slot = digest & mask
        while held := hashes[slot]:
            if held == digest:
                return self._rows[slot]
            slot = (slot + 1) & mask
        hashes[slot] = digest
        self._rows[slot] = row
        self._count += 1
        if self._count * 2 > mask:
            self._grow()
        return None

    def copy(self) -> "KeyIndex":
        """The same keys, to which others can be added."""
        made = KeyIndex()
        made._count, made._mask = self._count, self._mask
        made._hashes, made._rows = self._hashes[:], self._rows[:]
        return made

    def find(self, key: str) -> int | None:
        """The row that has `key`."""
        digest = _digest(key)
        slot = digest & self._mask
        while held := self._hashes[slot]:
            if held == digest:
                return self._rows[slot]
            slot = (slot + 1) & self._mask
        return None

    def __len__(self) -> int:
        return self._count

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._hashes = array("Q", bytes(8 * slots))
        self._rows = array("I", bytes(4 * slots))

    def _grow(self) -> None:
        hashes, rows = self._hashes, self._rows
        self._allocate(4 * len(hashes))
        mask = self._mask
        for digest, row in zip(hashes, rows, strict=True):
            if digest:
                slot = digest & mask
                while self._hashes[slot]:
                    slot = (slot + 1) & mask
                self._hashes[slot] = digest
                self._rows[slot] = row


def _digest(key: str) -> int:
    """64 bits; never 0, which is an empty slot."""
    return hash(key) & 0xFFFF_FFFF_FFFF_FFFF or 1
