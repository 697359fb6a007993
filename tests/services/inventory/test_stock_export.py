"""Stock as a file: whoever may see it exports it, and imported again every row is unchanged."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from shared import blobs, jobs
from shared.bus.envelope import Caller
from shared.contracts.catalog.exports import Export, ExportDraft, ExportFilter, GetExport, GetExportFile, StartExport
from shared.contracts.inventory.messages import CreateFulfilmentCentre, ListStock, UpdateStock
from shared.errors import CrossdockError
from shared.identifiers import new_id
from tests.conftest import examples
from tests.factories.inventory import Merchant
from tests.services.inventory.test_stock_import import bring_in

pytestmark = pytest.mark.feature("CAT-10", "CAT-8", "INV-2")

AWKWARD = ("A", "-5", "=1+1", "007", "1E+12", "a|b", "a,b", '"', "'x", "'=x", "\u202eabc", "\u0645", "e\u0301")
CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
SKU = st.sampled_from(AWKWARD) | st.text(CHARACTERS, min_size=1, max_size=10).map(str.strip).filter(bool)
POLICY = st.none() | st.sampled_from(("standard", "backorder", "preorder", "always", "showroom"))


async def exported(merchant: Merchant, group: str = "stock", **draft: Any) -> Export:
    started = await merchant.ask(StartExport(draft=ExportDraft(group=group, **draft)))
    runner = jobs.JobRunner(topology.named("catalog")[0], merchant.process.surroundings)
    runner.start(merchant.organization_id, started.job_id)
    for task in list(runner._running.values()):
        await task
    export: Export = await merchant.ask(GetExport(export_id=started.id))
    return export


async def content(merchant: Merchant, done: Export) -> bytes:
    file = await merchant.ask(GetExportFile(export_id=done.id))
    return await blobs.get(merchant.organization_id, file.key)


async def levels(merchant: Merchant) -> list[Any]:
    return list((await merchant.ask(ListStock(first=200))).items)


@given(data=st.data(), format=st.sampled_from(["csv", "ndjson", "json", "parquet", "xlsx"]))
@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
async def test_stock_comes_back_unchanged(process: topology.Surrounded, data: st.DataObject, format: str) -> None:
    merchant = Merchant(process)
    await merchant.open_shop()
    await merchant.ask(CreateFulfilmentCentre(code="north", name="North"))
    places = data.draw(st.lists(st.tuples(SKU, st.sampled_from(("main", "north"))), unique=True, max_size=5))
    rows = [
        {"sku": sku, "centre": centre, "on_hand": data.draw(st.integers(0, 10**6)), "policy": data.draw(POLICY)}
        for sku, centre in places
    ]
    if rows:
        await merchant.ask(UpdateStock(rows=[{k: v for k, v in row.items() if v is not None} for row in rows]))
    before = await levels(merchant)
    done = await exported(merchant, format=format)
    assert (done.state, done.counters["rows"]) == ("succeeded", len(rows))
    if not rows:
        return
    imported = await bring_in(merchant, await content(merchant, done))
    counters = {name: count for name, count in imported.counters.items() if count}
    # Nobody has described these goods: each row says so.
    assert counters == {"rows": len(rows), "stock_unchanged": len(rows), "notices": len(rows)}
    assert [level.on_hand for level in await levels(merchant)] == [level.on_hand for level in before]
    assert [level.policy for level in await levels(merchant)] == [level.policy for level in before]


async def test_portions_follow_each_other_and_skus_choose(
    process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.catalog.use_cases.exporting.PORTION", 3)
    merchant = Merchant(process)
    await merchant.open_shop()
    await merchant.stocked({f"SKU-{number:02}": number for number in range(10)})
    lines = (await content(merchant, await exported(merchant))).decode("utf-8-sig").split()
    assert lines == ["sku,centre,on_hand,policy", *(f"SKU-{number:02},main,{number},standard" for number in range(10))]
    some = await exported(merchant, filter=ExportFilter(skus=["SKU-03", "NONE"]))
    assert (await content(merchant, some)).decode("utf-8-sig").split()[1:] == ["SKU-03,main,3,standard"]
    assert (some.counters["places"], some.progress.total) == (1, 1)


@pytest.mark.feature("GAT-3")
async def test_who_may_not_see_stock_does_not_export_it(process: topology.Surrounded) -> None:
    merchant = Merchant(process)
    shop = await merchant.open_shop()
    wanted = StartExport(draft=ExportDraft(group="stock"))

    def somebody(**limits: Any) -> Caller:
        return Caller(kind="client", organization_id=merchant.organization_id, id=new_id(), **limits)

    for caller, draft, code in (
        (somebody(scopes=frozenset({"catalog:read"})), wanted, "missing_scope"),
        (somebody(scopes=frozenset({"admin"}), shop_ids=frozenset({shop.id})), wanted, "stock_of_all_shops"),
        (merchant.caller, StartExport(draft=ExportDraft(group="stock", shop="main")), "unsupported_filter"),
        (
            merchant.caller,
            StartExport(draft=ExportDraft(group="stock", filter=ExportFilter(customer_group="x"))),
            "unsupported_filter",
        ),
    ):
        with pytest.raises(CrossdockError) as refused:
            await merchant.ask(draft, caller=caller)
        assert refused.value.code == code


async def test_an_export_has_nothing_of_another_organization(process: topology.Surrounded) -> None:
    for on_hand in (1, 2):
        merchant = Merchant(process)
        await merchant.open_shop()
        await merchant.stocked({"SAME": on_hand})
    lines = (await content(merchant, await exported(merchant))).decode("utf-8-sig").split()
    assert lines[1:] == ["SAME,main,2,standard"]
