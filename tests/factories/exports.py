"""Exports of a catalog, run by the test itself."""

import io
from typing import Any
from uuid import UUID

import polars

from deploy import topology
from shared import blobs, jobs
from shared.contracts.catalog.exports import Export, ExportDraft, GetExport, GetExportFile, StartExport
from tests.factories.catalog import Catalog
from tests.waiting import until


async def start(catalog: Catalog, **draft: Any) -> Export:
    """An export that waits for a worker."""
    return await catalog.ask(StartExport(draft=ExportDraft(**draft)))


async def run(catalog: Catalog, started: Export) -> Export:
    """Run an export's job here, to its end or until this is cancelled."""
    runner = jobs.JobRunner(topology.named("catalog")[0], catalog.process.surroundings)
    try:
        runner.start(catalog.organization_id, started.job_id)
        for task in list(runner._running.values()):
            await task
    finally:
        await runner.stop()
    return await catalog.ask(GetExport(export_id=started.id))


async def content(catalog: Catalog, done: Export) -> bytes:
    file = await catalog.ask(GetExportFile(export_id=done.id))
    return await blobs.get(catalog.organization_id, file.key)


async def exported(catalog: Catalog, **draft: Any) -> bytes:
    """The file of an export that succeeds."""
    done = await run(catalog, await start(catalog, **draft))
    assert (done.state, done.error) == ("succeeded", None)
    return await content(catalog, done)


async def table(catalog: Catalog, **draft: Any) -> list[dict[str, str | None]]:
    """The rows of an export, as its Parquet file has them."""
    frame = polars.read_parquet(io.BytesIO(await exported(catalog, **{**draft, "format": "parquet"})))
    return frame.to_dicts()


async def make(process: topology.Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A finished export."""
    catalog = Catalog(process, organization_id)
    started = await start(catalog)
    await run(catalog, started)

    async def is_over() -> bool:
        return (await catalog.ask(GetExport(export_id=started.id))).finished_at is not None

    # Where workers run, too, one of them may have been first to take it.
    await until(is_over)
    return {"export_id": started.id}
