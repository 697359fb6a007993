"""Stock as it was before an import: counter-movements in the ledger, which itself is never changed.

A place whose stock moved since, by a sale as by a count, stays as it is: nobody knows any more what was before it.
Reservations alone move nothing. A policy that the file set comes back where it still is the file's.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import orjson

from services.inventory.models import Place
from services.inventory.repository import import_traces, kits, shop_centres
from services.inventory.use_cases import alerts, ledger
from services.inventory.use_cases.kits import IS_KIT
from shared.contracts.inventory.shapes import StockRowResult
from shared.imports.images import Back, Image, Imaged, Values, conflict
from shared.unit_of_work import UnitOfWork

Named = tuple[str, str]  # a SKU and the code of a centre


async def images_of(uow: UnitOfWork, results: Iterable[StockRowResult], policies: Mapping[Named, str]) -> list[Image]:
    """What was before the rows that a portion has just applied; `policies` are those of before, where rows give one."""
    centres = await shop_centres.lock_living(uow)
    times: dict[Named, int] = {}
    for result in results:
        if result.status in ("applied", "unchanged") and result.sku is not None and result.centre is not None:
            place = result.sku, result.centre
            times[place] = times.get(place, 0) + (result.status == "applied")
    places = {place: (place[0], centres[place[1]]) for place in times}
    moved = await import_traces.last_movements(uow, {places[place]: count for place, count in times.items() if count})
    now = await import_traces.policies(uow, list(places.values())) if policies else {}
    kept = []
    for place, at in places.items():
        before, after = dict(moved.get(at, ({}, {}))[0]), dict(moved.get(at, ({}, {}))[1])
        if place in policies and policies[place] != now[at]:
            before["policy"], after["policy"] = policies[place], now[at]
        if before:
            kept.append(Image("stock", key_of(at), f"{place[0]} in {place[1]}", before, after))
    return kept


def key_of(place: Place) -> str:
    return orjson.dumps([place[0], str(place[1])]).decode()


def place_of(key: str) -> Place:
    sku, centre_id = orjson.loads(key)
    return sku, UUID(centre_id)


def undo_reference(import_id: UUID) -> str:
    """Under which the ledger has what was taken back of an import."""
    return f"undo {import_id}"


class ImagedStock(Imaged):
    """By SKU and centre. `movement` of an image is the number of the last one that changed what is on hand."""

    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        self._living = set((await shop_centres.lock_living(uow)).values())
        places = [place_of(key) for key in keys]
        self._kits = await kits.list_kits_among(uow, list({sku for sku, _ in places}))
        self._locked = await ledger.lock_places(uow, places)
        numbers = await import_traces.last_numbers(uow, places)
        return {
            key_of(place): {"on_hand": stock.on_hand, "policy": stock.policy, "movement": numbers.get(place)}
            for place, stock in self._locked.stock.items()
        }

    def touched(self, image: Image, current: Values) -> set[str]:
        """Whatever moved since has touched what is on hand, also where it has come to the same figure."""
        found = super().touched(image, current)
        return (found - {"movement"}) | ({"on_hand"} if "movement" in found else set())

    async def put_back(self, uow: UnitOfWork, import_id: UUID, images: Mapping[str, Image], back: Back) -> None:
        was_short = {place for place, stock in self._locked.stock.items() if stock.is_short}
        for key in list(back.restored):
            if (reason := self._is_barred(place_of(key))) is not None:
                back.conflicts.append(conflict(images[key], "on_hand", "not_possible", reason))
                del back.restored[key]
                continue
            values, stock = back.restored[key], self._locked.stock[place_of(key)]
            if "on_hand" in values:
                delta = values["on_hand"] - stock.on_hand
                note = f"Import {import_id} was taken back."
                self._locked.note(stock.adjust(delta, undo_reference(import_id), note))
            if "policy" in values:
                stock.policy = values["policy"]
                self._locked.touch(stock)
        await self._locked.write(uow)
        await alerts.tell_of_short_stock(uow, self._locked.stock.values(), was_short)

    def _is_barred(self, place: Place) -> str | None:
        if place[0] in self._kits:
            return IS_KIT
        return None if place[1] in self._living else "The fulfilment centre was removed since."
