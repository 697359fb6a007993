"""Who a buyer was is forgotten: of an order's record here nothing personal is left, and none comes back (ORD-6).

The platform goes on knowing its customer, and tells of him with every scan: what it tells of the record's own fate is
followed, and the person is replaced before anything is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from services.sync.repository import erasures, listings
from services.sync.repository.erasures import Forgotten
from services.sync.repository.listings import Seen
from shared.unit_of_work import UnitOfWork

_NOBODY = {"email": "erased@erased.invalid", "name": "Erased"}
_NOWHERE = {"line1": "Erased", "city": "Erased"}


async def forget(uow: UnitOfWork, order_ids: Sequence[UUID]) -> None:
    """Nothing is left of whose these orders were. Safe to repeat."""
    rows = await erasures.lock_records(uow, order_ids)
    if not rows:
        return
    forgotten = []
    for row in rows:
        remote = listings.dumped(without_buyer(orjson.loads(row["remote"])))
        known = row["acknowledged"] and listings.dumped(without_buyer(orjson.loads(row["acknowledged"])))
        forgotten.append(Forgotten(row["id"], remote, listings.digest(remote), known))
    await erasures.replace(uow, forgotten)
    await erasures.forget_told(uow, [(row["id"], row["connection_id"], row["external_id"]) for row in rows])


def without_buyer(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order of a platform with nobody in the buyer's place; the country stays, which taxes are of."""
    address = order.get("shipping_address")
    country = address.get("country") if isinstance(address, dict) else None
    there = {**_NOWHERE, "country": country} if country else dict(_NOWHERE)
    persons = {"customer": dict(_NOBODY), "shipping_address": there}
    return {**order, **{name: value for name, value in persons.items() if name in order}}


async def kept_forgotten(uow: UnitOfWork, connection_id: UUID, seen: Sequence[Seen]) -> list[Seen]:
    """Orders of a page as they are to be kept: of those whose buyer was forgotten, without him."""
    erased = await erasures.list_erased(uow, connection_id, [each.external_id for each in seen])
    return [_forgotten(each) if each.external_id in erased else each for each in seen]


def _forgotten(seen: Seen) -> Seen:
    remote = listings.dumped(without_buyer(orjson.loads(seen.remote)))
    return replace(seen, remote=remote, digest=listings.digest(remote))
