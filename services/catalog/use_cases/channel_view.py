"""What a channel shows of a field of a product: its own, what it inherits, or the product's (CAT-4, ACC-3).

The order, which `shown` is:

1. The nearest channel of the line (a connection, its shop, that one's parent, and so on upwards) that has decided who
   owns the field decides.
2. Owned by the master: the product's text in the shop's locale, else in its language, else the product's own value.
3. Owned by the channel itself: its value, which is in its own language, before any translation.
4. Owned by one above: its value, too; but where that shop speaks another language and the product has the text in
   the first one's own, that translation.
5. Where nobody has decided: as if owned by the master.

An old price is inherited like prices: not by a strict sub-shop, and in the same currency only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.catalog.repository.channel_content import NOTHING, Fields, KnownContent
from services.catalog.repository.shops import KnownShop, pricing_line
from shared.contracts.catalog.shapes import ContentOwner


@dataclass(frozen=True, slots=True)
class Step:
    """One channel of a line: who owns the field there, its value, and whether it speaks the language of the first."""

    owner: ContentOwner
    value: Any = None
    speaks: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose value is shown, and the value."""

    source: ContentOwner
    value: Any


def shown(line: Iterable[Step], master: Any, translation: Any = None) -> Shown:
    """What the first channel of `line` shows of a field. `translation`: the product's text in its language."""
    said = Shown("master", master if translation is None else translation)
    for position, step in enumerate(line):
        if step.owner == "master" or (step.owner == "channel" and translation is not None and not step.speaks):
            return said
        if step.owner == "channel":
            return Shown("parent" if position else "channel", step.value)
    return said


class ChannelView:
    """One product as the first channel of `line` shows it; `contents` is what each of the line has of it, by id."""

    def __init__(self, line: Sequence[KnownShop], contents: Mapping[UUID, KnownContent]) -> None:
        self._line = line
        self._contents = contents

    def of_product(self, name: str, master: Any, translation: Any = None) -> Shown:
        first, known = self._line[0], self._contents
        steps = [
            _step(known[shop.id].product if shop.id in known else NOTHING, name, _speaks(shop, first))
            for shop in self._line
        ]
        return shown(steps, master, translation)

    def of_variant(self, variant_id: UUID, name: str, master: Any) -> Shown:
        return shown([_step(own, name) for _, own in self._variant(self._line, variant_id)], master)

    def list_price(self, variant_id: UUID, master: Any) -> Shown:
        """The old price, as Money or None, like `master`."""
        steps = [
            _step(own, "list_price") if _has_currency(own, shop) else Step("parent")
            for shop, own in self._variant(pricing_line(list(self._line)), variant_id)
        ]
        return shown(steps, master)

    @property
    def own(self) -> KnownContent | None:
        """What the first of the line has itself, where it has anything."""
        return self._contents.get(self._line[0].id)

    def _variant(self, line: Iterable[KnownShop], variant_id: UUID) -> list[tuple[KnownShop, Fields]]:
        known = self._contents
        return [(s, known[s.id].variants.get(variant_id, NOTHING) if s.id in known else NOTHING) for s in line]


def _step(own: Fields, name: str, speaks: bool = True) -> Step:
    return Step(own.owner(name), own.values.get(name), speaks)


def _speaks(shop: KnownShop, other: KnownShop) -> bool:
    return shop.locale.split("-")[0] == other.locale.split("-")[0]


def _has_currency(own: Fields, shop: KnownShop) -> bool:
    price = own.values.get("list_price")
    return price is None or price.currency == shop.currency
