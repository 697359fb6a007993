"""How shops' searches are tuned."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.search.tuning import Boost, PinnedOffers, SoldOut, Synonym
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a merchant set, all of it."""

    synonyms: list[Synonym] = field(default_factory=list)
    pins: list[PinnedOffers] = field(default_factory=list)
    boosts: list[Boost] = field(default_factory=list)
    sold_out: SoldOut = "leaves"

    def as_stored(self) -> dict[str, Any]:
        return {
            "synonyms": [each.model_dump() for each in self.synonyms],
            "pins": [each.model_dump() for each in self.pins],
            "boosts": [each.model_dump() for each in self.boosts],
            "sold_out": self.sold_out,
        }


async def get(uow: UnitOfWork, shop_id: UUID) -> Tuned:
    """How a shop is tuned; not at all where it never was."""
    stored = await uow.fetchval("SELECT tuning FROM tunings WHERE shop_id = $1", shop_id)
    if stored is None:
        return Tuned()
    tuning = orjson.loads(stored)
    return Tuned(
        [Synonym(**each) for each in tuning["synonyms"]],
        [PinnedOffers(**each) for each in tuning["pins"]],
        [Boost(**each) for each in tuning.get("boosts", ())],
        tuning.get("sold_out", "leaves"),
    )


async def keeps_sold_out(uow: UnitOfWork, shop_id: UUID) -> bool:
    """Whether a shop goes on to show what is sold out."""
    return bool(await uow.fetchval("SELECT tuning ->> 'sold_out' = 'last' FROM tunings WHERE shop_id = $1", shop_id))


async def lock_version(uow: UnitOfWork, shop_id: UUID) -> int:
    """The version there is, which stays until the end of the transaction."""
    version: int = await uow.fetchval("SELECT tuning_version FROM indexes WHERE shop_id = $1 FOR UPDATE", shop_id)
    return version


async def put(uow: UnitOfWork, shop_id: UUID, tuned: Tuned) -> int:
    """Keep this instead of what there was. Returns its version."""
    await uow.execute(
        "INSERT INTO tunings (organization_id, shop_id, tuning) VALUES ($1, $2, $3)"
        " ON CONFLICT (organization_id, shop_id) DO UPDATE SET tuning = excluded.tuning",
        uow.organization_id,
        shop_id,
        orjson.dumps(tuned.as_stored()).decode(),
    )
    version: int = await uow.fetchval(
        "UPDATE indexes SET tuning_version = tuning_version + 1 WHERE shop_id = $1 RETURNING tuning_version", shop_id
    )
    return version
