"""Suppliers and what they supply as files: imported again every row is unchanged, and nobody else sees them."""

from typing import Any

import pytest

from deploy import topology
from shared import blobs
from shared.bus.envelope import Caller
from shared.contracts.catalog.exports import Export, ExportDraft, ExportFilter, GetExportFile, StartExport
from shared.contracts.inventory.suppliers import ListSupplierLinks, ListSuppliers
from shared.contracts.platform.exported import ReadRowsOfGroup
from shared.errors import CrossdockError
from shared.exported import headings_of
from shared.identifiers import new_id
from shared.money import Money
from tests.factories.inventory import Merchant
from tests.services.inventory.test_stock_export import content, exported
from tests.services.inventory.test_stock_import import bring_in
from tests.services.inventory.test_suppliers import link, supplier

pytestmark = pytest.mark.feature("CAT-10", "CAT-8", "INV-8")


@pytest.fixture
async def merchant(process: topology.Surrounded) -> Merchant:
    """Three suppliers and five links, with what a spreadsheet would spoil."""
    made = Merchant(process)
    await made.open_shop()
    await supplier(made, "looms", name='=Looms, "Skerry"', contact_email="a@example.com", lead_time_days=7)
    await supplier(made, "mill", contact_name="-5", contact_phone="+44 20 7946 0000", currency="JPY", is_active=False)
    await supplier(made, "bare")
    usd, yen = Money(amount=1250, currency="USD"), Money(amount=300, currency="JPY")
    await link(made, "looms", "-007", cost=usd, pack_size=6, minimum_quantity=12, is_primary=True)
    await link(made, "mill", "-007", cost=yen, supplier_sku="1E+12", lead_time_days=0)
    await link(made, "mill", "MUG", cost=usd, is_primary=True)
    await link(made, "bare", "MUG")
    await link(made, "bare", "POT")
    return made


async def stored(merchant: Merchant) -> list[Any]:
    return [(await merchant.ask(message)).items for message in (ListSuppliers(), ListSupplierLinks())]


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "xlsx"])
async def test_they_come_back_unchanged(merchant: Merchant, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """In portions of two."""
    monkeypatch.setattr("services.catalog.use_cases.exporting.PORTION", 2)
    before = await stored(merchant)
    for group, number in (("suppliers", 3), ("supplier-links", 5)):
        counted = group.replace("-", "_")
        done: Export = await exported(merchant, group=group, format=form)
        assert (done.state, done.counters, done.progress.total) == (
            *("succeeded", {"rows": number, counted: number}, number),
        )
        again = await bring_in(merchant, await content(merchant, done), group=group)
        assert {name: count for name, count in again.counters.items() if count} == {
            "rows": number,
            f"{counted}_unchanged": number,
            # Nobody has described what they supply: each link says so.
            **({"notices": number} if group == "supplier-links" else {}),
        }
    assert await stored(merchant) == before


async def test_a_file_has_the_columns_of_its_template_and_amounts_in_their_currency(merchant: Merchant) -> None:
    lines = (await content(merchant, await exported(merchant, group="supplier-links"))).decode("utf-8-sig").splitlines()
    assert lines[:3] == [
        ",".join(headings_of("supplier-links")),
        "looms,'-007,,12.50,USD,6,12,,true",
        "mill,'-007,1E+12,300,JPY,1,1,0,false",
    ]


@pytest.mark.feature("GAT-3")
async def test_who_may_not_see_them_neither_exports_nor_downloads_them(
    merchant: Merchant, process: topology.Surrounded
) -> None:
    def somebody(**limits: Any) -> Caller:
        return Caller(kind="client", organization_id=merchant.organization_id, id=new_id(), **limits)

    reader = somebody(scopes=frozenset({"catalog:read"}))
    limited = somebody(scopes=frozenset({"admin"}), shop_ids=frozenset({new_id()}))
    for group in ("suppliers", "supplier-links", "stock"):
        done = await exported(merchant, group=group)
        for caller, draft, code in (
            (reader, ExportDraft(group=group), "missing_scope"),
            (limited, ExportDraft(group=group), "stock_of_all_shops" if group == "stock" else "group_of_all_shops"),
            (merchant.caller, ExportDraft(group=group, shop="main"), "unsupported_filter"),
            (merchant.caller, ExportDraft(group=group, filter=ExportFilter(customer_group="x")), "unsupported_filter"),
            (merchant.caller, ExportDraft(group=group, profile="shopify"), "unsupported_profile"),
        ):
            with pytest.raises(CrossdockError) as refused:
                await merchant.ask(StartExport(draft=draft), caller=caller)
            assert (group, refused.value.code) == (group, code)
        with pytest.raises(CrossdockError) as refused:
            await merchant.ask(GetExportFile(export_id=done.id), caller=reader)
        assert (group, refused.value.code) == (group, "missing_scope")
        file = await merchant.ask(GetExportFile(export_id=done.id))
        assert len(await blobs.get(merchant.organization_id, file.key)) == file.size
    other = Merchant(process)
    for group in ("suppliers", "supplier-links"):
        assert (await other.ask(ReadRowsOfGroup(group=group), inside="catalog")).rows == []
