"""Imports in all their ways, killed before and after the commit of each of their steps: the end is always the same."""

from typing import Any

import pytest

from deploy import topology
from services.catalog.use_cases import product_chunks
from shared.contracts.platform.imports import ConfirmImport, Import, ListImportRemarks
from shared.jobs import RunningJob
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.services.catalog.test_import_faults import free_lease
from tests.services.catalog.test_import_undo import everything

pytestmark = pytest.mark.feature("CAT-5", "CAT-6", "CAT-7", "OPS-5")

PRODUCTS = 12


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_chunks, "CHUNK_ROWS", 4)


def goods(title: str, *, wrong: bool = False) -> bytes:
    rows = [shopify_row(f"p-{n}", title=title, quantity="2") for n in range(PRODUCTS)]
    if wrong:
        rows[-1]["Variant Price"] = "oops"
    return csv_file(rows)


WAYS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "all or none": (goods("New"), {"on_error": "abort"}),
    "all or none, with an error": (goods("New", wrong=True), {"on_error": "abort"}),
    "dry": (goods("New", wrong=True), {"dry_run": True}),
    "replace": (goods("New"), {"mode": "replace", "missing": "archive", "guard_percent": 100}),
    "delete": (b"Handle\nleft-over\np-1\nnone\n", {"mode": "delete", "guard_percent": 100}),
    "held": (b"Handle\nleft-over\np-1\np-2\np-3\n", {"mode": "delete"}),
}


async def prepared(process: topology.Surrounded) -> Catalog:
    catalog = Catalog(process)
    await catalog.open_shop()
    rows = [shopify_row(f"p-{n}", title="Old") for n in range(6)] + [shopify_row("left-over")]
    await catalog.bring_in(csv_file(rows))
    return catalog


class Killer:
    """Lets the process die at the `step`th commit of a job: before it, or right after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int, *, after: bool) -> None:
        self.has_killed = False
        calls = 0
        save = RunningJob._save

        async def saving(job: RunningJob, uow: Any, state: str = "running", error: Any = None) -> None:
            nonlocal calls
            await save(job, uow, state, error)
            calls += 1
            if calls == step:
                self.has_killed = True
                if not after:
                    raise RuntimeError("killed here")
                uow.when_committed(self._die)

        end = RunningJob.end

        async def ending(job: RunningJob, state: str, error: Any = None) -> None:
            """A dead process writes no end; one that dies as it writes it has written it or not."""
            if not self.has_killed:
                try:
                    await end(job, state, error)
                except RuntimeError:
                    assert self.has_killed

        monkeypatch.setattr(RunningJob, "_save", saving)
        monkeypatch.setattr(RunningJob, "end", ending)

    def _die(self) -> None:
        raise RuntimeError("killed here")


async def told(catalog: Catalog, imported: Import) -> Any:
    """What is said of an import, without what differs from one to the next."""
    remarks = [
        (r.kind, r.row, r.code)
        for kind in ("error", "notice")
        for r in (await catalog.ask(ListImportRemarks(import_id=imported.id, kind=kind, first=200))).items
    ]
    samples = await catalog.rows("SELECT kind, part, name FROM import_samples ORDER BY kind, part, name")
    stock = await catalog.events("stock_file_imported")
    code = imported.error["code"] if imported.error else None
    return (
        imported.state,
        code,
        imported.counters,
        sorted(remarks),
        [tuple(row) for row in samples],
        sorted(event["part"] for event in stock),
    )


async def holdings(catalog: Catalog) -> Any:
    """What the catalog has, without ids and times."""
    found = await everything(catalog)
    names = ("slug", "title", "status", "sku", "price", "minimum_quantity", "name")
    return {
        table: sorted(str({name: row[name] for name in names if name in row}) for row in rows)
        for table, rows in found.items()
    }


async def carried_out(catalog: Catalog, way: str) -> Import:
    content, parameters = WAYS[way]
    return await catalog.run(await catalog.upload(content, **parameters))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("way", list(WAYS))
async def test_killed_at_any_step_the_end_is_the_same(
    process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch, way: str, after: bool
) -> None:
    undisturbed = await prepared(process)
    expected = await told(undisturbed, await carried_out(undisturbed, way))
    left = await holdings(undisturbed)
    step = 0
    while True:
        step += 1
        catalog = await prepared(process)
        content, parameters = WAYS[way]
        started = await catalog.upload(content, **parameters)
        with monkeypatch.context() as patched:
            killer = Killer(patched, step, after=after)
            await catalog.run(started)
        await free_lease(catalog)
        ended = await catalog.run(started)
        assert (step, await told(catalog, ended)) == (step, expected)
        assert (step, await holdings(catalog)) == (step, left)
        if not killer.has_killed:
            break
    assert step > 2, "there was nothing to kill"
    if way == "held":
        done = await catalog.run(await catalog.ask(ConfirmImport(import_id=started.id)))
        assert (done.state, done.counters["products_archived"]) == ("succeeded", 4)
