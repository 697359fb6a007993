"""How shops' searches are tuned."""

from uuid import UUID

import orjson

from shared.contracts.search.tuning import PinnedOffers, Synonym
from shared.unit_of_work import UnitOfWork

Tuned = tuple[list[Synonym], list[PinnedOffers]]


async def get(uow: UnitOfWork, shop_id: UUID) -> Tuned:
    """Synonyms and pins of a shop; nothing where it was never tuned."""
    stored = await uow.fetchval("SELECT tuning FROM tunings WHERE shop_id = $1", shop_id)
    tuning = {"synonyms": [], "pins": []} if stored is None else orjson.loads(stored)
    return [Synonym(**each) for each in tuning["synonyms"]], [PinnedOffers(**each) for each in tuning["pins"]]


async def lock_version(uow: UnitOfWork, shop_id: UUID) -> int:
    """The version there is, which stays until the end of the transaction."""
    version: int = await uow.fetchval("SELECT tuning_version FROM indexes WHERE shop_id = $1 FOR UPDATE", shop_id)
    return version


async def put(uow: UnitOfWork, shop_id: UUID, tuned: Tuned) -> int:
    """Keep this instead of what there was. Returns its version."""
    synonyms, pins = tuned
    await uow.execute(
        "INSERT INTO tunings (organization_id, shop_id, tuning) VALUES ($1, $2, $3)"
        " ON CONFLICT (organization_id, shop_id) DO UPDATE SET tuning = excluded.tuning",
        uow.organization_id,
        shop_id,
        orjson.dumps(
            {"synonyms": [each.model_dump() for each in synonyms], "pins": [each.model_dump() for each in pins]}
        ).decode(),
    )
    version: int = await uow.fetchval(
        "UPDATE indexes SET tuning_version = tuning_version + 1 WHERE shop_id = $1 RETURNING tuning_version", shop_id
    )
    return version
