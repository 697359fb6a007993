"""Putting a connection's records in order, as a job: what is found is counted, and unless it is a dry run mended.

columns variants changes   what the records themselves say, in sets
links orphans              records whose product is gone: linked to the one that has their SKU now, or left
schema                     records that lack or misname what the platform's adapter gives now: read anew
clocks                     counted last, of what is left
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from services.sync.errors import (
    AnswerNotUnderstood,
    ConnectionHeld,
    ConnectionIsBusy,
    ConnectionIsPaused,
    NeedsCredentials,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms.registry import get_platform
from services.sync.repository import changes, connections, listings, upkeep
from services.sync.repository.issues import Trouble
from services.sync.repository.upkeep import MAINTENANCE_JOB
from services.sync.use_cases import matching, sessions
from services.sync.use_cases.executing import Run, rest_as_held
from services.sync.use_cases.keeping import as_kept
from services.sync.use_cases.matching import RemoteProduct
from shared import jobs
from shared.contracts.catalog.messages import ProductKeys
from shared.contracts.platform.shapes import Job
from shared.contracts.sync.shapes import ConnectionSettings, Entity, FeedKind
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

_AT_ONCE = 2000
_PRODUCTS_AT_ONCE = 200
_SAMPLES = 20
_MOST_RETRIES = 6
_FEED: FeedKind = "update_products"
# Kinds of records that are read by themselves, and the feed without which the platform has none.
_READ: tuple[tuple[Entity, FeedKind], ...] = (("product", "import_products"), ("stock", "import_stock"))


async def start(uow: UnitOfWork, connection_id: UUID, *, is_dry_run: bool) -> Job:
    """Raises ConnectionNotFound, ConnectionIsPaused, NeedsCredentials, ConnectionIsBusy."""
    row = await connections.get(uow, connection_id, lock=True)
    if row["is_paused"]:
        raise ConnectionIsPaused("The connection is paused; let it go on first.")
    if row["needs_credentials"]:
        raise NeedsCredentials("The platform refused the connection's credentials; give it new ones first.")
    if await upkeep.find_running(uow, MAINTENANCE_JOB, connection_id) is not None:
        raise ConnectionIsBusy("The connection is being put in order already.")
    told = {"connection_id": str(connection_id), "is_dry_run": is_dry_run}
    subject = {"connection_id": str(connection_id), "name": row["name"]}
    uow.audit("connection.maintain", "connection", connection_id, after={"is_dry_run": is_dry_run})
    return await jobs.create(uow, MAINTENANCE_JOB, told | {jobs.SUBJECT: subject})


@dataclass(frozen=True)
class Upkeep:
    """A run over a connection's records, and whether it only counts."""

    run: Run
    is_dry: bool

    def count(self, what: str, found: int, mended: int) -> None:
        self.run.job.count(f"{what}_found", found)
        self.run.job.count(f"{what}_mended", 0 if self.is_dry else mended)


async def carry_out(job: RunningJob) -> None:
    """Each part once, in its order. Raises what is for a person, and JobRests."""
    connection_id = UUID(job.parameters["connection_id"])
    uow = job.unit_of_work()
    try:
        connection = await connections.get(uow, connection_id)
    finally:
        await uow.rollback()
    settings = ConnectionSettings.model_validate_json(connection["settings"])
    account = sessions.account_of(connection, job.organization_id)
    residents, platform = job.surroundings.resident, connection["platform"]
    try:
        async with sessions.opened(residents, job.organization_id, connection_id, platform, account) as (
            session,
            http,
        ):
            run = Run(job, _FEED, connection, settings, False, None, session, http)
            http.is_held = run.is_paused
            await _parts(Upkeep(run, job.parameters["is_dry_run"]))
    except ConnectionHeld:
        await rest_as_held(job, connection_id)
    except (PlatformAway, AnswerNotUnderstood) as error:
        await _wait(job, error)


async def _parts(of: Upkeep) -> None:
    job = of.run.job
    parts: Mapping[str, Callable[[Upkeep], Awaitable[None]]] = {
        **{name: _repairing(name) for name in upkeep.REPAIRS},
        "links": _mend_links,
        **{f"schema of {entity}": _reading(entity, feed) for entity, feed in _READ},
        "clocks": _mend_clocks,
    }
    for name, part in parts.items():
        if name not in job.checkpoint.setdefault("done", []):
            await part(of)
            async with job.step():
                job.checkpoint["done"] = [*job.checkpoint["done"], name]
                job.checkpoint.pop("after", None)


async def _wait(job: RunningJob, error: PlatformAway | AnswerNotUnderstood) -> None:
    """Go on later; after so many times it ends. Raises."""
    retries = job.checkpoint.get("retries", 0) + 1
    if retries > _MOST_RETRIES:
        raise PlatformRefused(f"The platform was asked {_MOST_RETRIES} times: {error.detail}") from error
    async with job.step():
        job.checkpoint["retries"] = retries
        job.note(f"Waits, attempt {retries}: {error.detail[:200]}")
    await job.rest(max(2.0**retries, error.retry_after_seconds or 0))


# --- what records say themselves


def _repairing(name: str) -> Callable[[Upkeep], Awaitable[None]]:
    repair = upkeep.REPAIRS[name]

    async def mend(of: Upkeep) -> None:
        connection_id, mended = of.run.connection_id, _AT_ONCE
        if of.is_dry:
            async with of.run.job.step() as uow:
                of.count(name, await upkeep.count(uow, connection_id, repair), 0)
            return
        while mended == _AT_ONCE:
            async with of.run.job.step() as uow:
                mended = await upkeep.mend(uow, connection_id, repair, _AT_ONCE)
                of.count(name, mended, mended)

    return mend


async def _mend_clocks(of: Upkeep) -> None:
    async with of.run.job.step() as uow:
        found = await upkeep.count_clocks(uow, of.run.connection_id)
        if not of.is_dry:
            await upkeep.mend_clocks(uow, of.run.connection_id)
        of.count("clocks", found, found)


# --- products that are gone


async def _mend_links(of: Upkeep) -> None:
    job = of.run.job
    while True:
        after = job.checkpoint.get("after")
        uow = job.unit_of_work()
        try:
            rows = await listings.list_products(
                uow, of.run.connection_id, UUID(after) if after else None, _PRODUCTS_AT_ONCE
            )
            products = await matching.load(uow, of.run.connection_id, rows)
        finally:
            await uow.rollback()
        if not rows:
            return
        keys: ProductKeys = await job.unit_of_work().ask(matching.question(products), timeout_seconds=60)
        async with job.step() as uow:
            await _relink(of, uow, products, keys)
            job.checkpoint["after"] = str(rows[-1]["id"])


async def _relink(of: Upkeep, uow: UnitOfWork, products: Sequence[RemoteProduct], keys: ProductKeys) -> None:
    """Each record whose product is gone belongs to the one that has its SKUs now; without one it is left alone."""
    links: dict[UUID, UUID] = {}
    orphans: list[tuple[RemoteProduct, Any]] = []
    for product in products:
        own: list[tuple[Any, list[Any]]] = [(product.row, product.skus)]
        own += [(row, [said.get("sku")]) for row, said in product.variants]
        for row, skus in own:
            if row["product_id"] is None or row["product_id"] in keys.slugs:
                continue
            found = {keys.by_sku[sku] for sku in skus if sku in keys.by_sku}
            if len(found) == 1:
                links[row["id"]] = found.pop()
            else:
                orphans.append((product, row))
    of.count("links", len(links), len(links))
    of.count("orphans", len(orphans), len(orphans))
    if of.is_dry:
        return
    if links:
        await listings.link(uow, links)
        await listings.mark(uow, list(links))
    if orphans:
        await changes.call_off_all(uow, [row["id"] for _, row in orphans], "no_product")
        message = "Its product is gone here, and no other has its SKU: what changes of it over there is not taken over."
        troubles = [
            Trouble(_FEED, "info", "no_product", message, product.external_id, product.row["id"])
            for product, _ in orphans
        ]
        await of.run.tell(uow, *troubles)


# --- records in an older schema


def _reading(entity: Entity, feed: FeedKind) -> Callable[[Upkeep], Awaitable[None]]:
    async def read(of: Upkeep) -> None:
        if feed in sessions.lacks_of(of.run.connection):
            return
        for kind, names in (await _given(of, entity)).items():
            await _read_outdated(of, entity, kind, names)
            of.run.job.checkpoint.pop("after", None)

    return read


async def _given(of: Upkeep, entity: Entity) -> dict[str, list[str]]:
    """The fields that the adapter gives now of records of this kind and of their parts, by kind."""
    uow = of.run.job.unit_of_work()
    try:
        samples = await upkeep.list_samples(uow, of.run.connection_id, entity, _SAMPLES)
    finally:
        await uow.rollback()
    given: dict[str, set[str]] = {}
    await of.run.go_on()
    for record in await of.run.session.read(entity, samples) if samples else ():
        for seen in as_kept(entity, record):
            given.setdefault(seen.entity, set()).update(orjson.loads(seen.remote))
    return {kind: sorted(names) for kind, names in given.items()}


async def _read_outdated(of: Upkeep, entity: Entity, kind: str, names: Sequence[str]) -> None:
    job, size = of.run.job, get_platform(of.run.connection["platform"]).page_size
    while True:
        after = job.checkpoint.get("after")
        uow = job.unit_of_work()
        try:
            rows = await upkeep.list_outdated(
                uow, of.run.connection_id, kind, names, UUID(after) if after else None, size
            )
        finally:
            await uow.rollback()
        if not rows:
            return
        seen = []
        if not of.is_dry:
            await of.run.go_on()
            ids = sorted({row["external_id"] for row in rows})
            seen = [each for record in await of.run.session.read(entity, ids) for each in as_kept(entity, record)]
        async with job.step() as uow:
            if not of.is_dry:
                # What is different from what was acknowledged is found by the next fetch, as after any page.
                await listings.store(uow, of.run.connection_id, seen)
                await upkeep.forget_other_fields(uow, [row["id"] for row in rows], names)
            of.count("schema", len(rows), len(rows))
            job.checkpoint["after"] = str(rows[-1]["id"])
