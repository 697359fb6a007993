"""A record that came back under another id, or elsewhere, is the product it was, once a person has said so (SYN-8).

Nothing is created or deleted: the product, and with it what it has for this channel, goes on with the new record. What
differs is found by looking at it anew.
"""

from uuid import UUID

import orjson

from services.sync.repository import changes, listings, relinks
from services.sync.repository.issues import Trouble
from services.sync.use_cases.executing import Run
from services.sync.use_cases.taking.imports import asked
from shared.contracts.catalog.messages import FindProductKeys, ProductKeys

_RECORDS_AT_ONCE = 400


async def take_relinks(run: Run) -> None:
    """Take all that were approved."""
    while await _take_some(run):
        pass


async def _take_some(run: Run) -> bool:
    uow = run.job.unit_of_work()
    try:
        queued = await changes.list_queued(
            uow, run.connection_id, "in", ("product", "variant"), "relinks", None, _RECORDS_AT_ONCE, run.only
        )
    finally:
        await uow.rollback()
    if not queued:
        return False
    wanted = {each["listing_id"]: UUID(orjson.loads(each["after"])) for each in queued}
    keys: ProductKeys = await asked(run, FindProductKeys(product_ids=sorted(set(wanted.values()))))
    linked = {listing_id: product_id for listing_id, product_id in wanted.items() if product_id in keys.slugs}
    async with run.job.step() as uow:
        await listings.link(uow, linked)
        await listings.look_again(uow, list(linked))
        await relinks.forget_gone(uow, list(linked))
        await changes.settle(uow, [each["id"] for each in queued if each["listing_id"] in linked], "applied")
        lost = [each["listing_id"] for each in queued if each["listing_id"] not in linked]
        if lost:
            failed = [each["id"] for each in queued if each["listing_id"] in lost]
            await changes.fail(uow, failed, "refused", run.job.id)
            message = "The product that it was is no longer here: cancel this, and it is taken as a new one."
            rows = await listings.list_by_ids(uow, lost)
            troubles = [
                Trouble(run.kind, "error", "product_gone", message, row["external_id"], row["id"]) for row in rows
            ]
            await run.tell(uow, *troubles)
        run.job.count("linked", len(linked))
    return True
