"""Customers as a file: imported again every row is unchanged, and who may not see them does not export them."""

from typing import Any

import orjson
import pytest

from deploy import topology
from shared.bus.envelope import Caller
from shared.contracts.catalog.exports import ExportDraft, ExportFilter, GetExportFile, StartExport
from shared.contracts.orders.customers import (
    CreateCustomer,
    CustomerAddress,
    EraseCustomer,
    ListCustomers,
    NewCustomer,
)
from shared.contracts.platform.exported import ReadRowsOfGroup
from shared.errors import CrossdockError
from shared.identifiers import new_id
from tests.factories.inventory import Merchant
from tests.services.inventory.test_stock_export import content, exported
from tests.services.orders.test_customer_files import bring_in

pytestmark = pytest.mark.feature("CAT-10", "CAT-8", "ORD-6")


@pytest.fixture
async def merchant(process: topology.Surrounded) -> Merchant:
    """Three customers, one of whom has been forgotten since, and what a file of them must not lose."""
    made = Merchant(process)
    await made.open_shop()
    home = CustomerAddress(
        is_default=True, name="Charles", company="=Engines", line1="1 Quay", city="Portsea", country="US", phone="-5"
    )
    other = CustomerAddress(kind="billing", is_default=True, line1="2 Quay", city="Portsea", country="US")
    ada = NewCustomer(
        email="ada@example.com", name="Ada", phone="+44 20", customer_group="trade", notes="tea\n\"black\"",
        addresses=[other, home],
    )  # fmt: skip
    await made.ask(CreateCustomer(customer=ada))
    await made.ask(CreateCustomer(customer=NewCustomer(email="grace@example.com", addresses=[other])))
    gone = await made.ask(CreateCustomer(customer=NewCustomer(email="mary@example.com", name="Mary")))
    await made.ask(EraseCustomer(customer_id=gone.id, reason="asked to"))
    return made


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
async def test_customers_come_back_unchanged(merchant: Merchant, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr("services.catalog.use_cases.exporting.PORTION", 1)
    before = (await merchant.ask(ListCustomers())).items
    done = await exported(merchant, group="customers", format=form)
    assert (done.state, done.counters) == ("succeeded", {"rows": 2, "customers": 2})
    file = await content(merchant, done)
    again = await bring_in(merchant, content=file)
    assert {name: count for name, count in again.counters.items() if count} == {"rows": 2, "customers_unchanged": 2}
    assert (await merchant.ask(ListCustomers())).items == before
    # To another organization it brings them as they were, but for what is no shipping address.
    elsewhere = Merchant(merchant.process)
    assert (await bring_in(elsewhere, content=file)).counters["customers_inserted"] == 2
    _, ada = (await elsewhere.ask(ListCustomers())).items
    assert (ada.notes, ada.addresses) == (before[1].notes, before[1].addresses[1:])


async def test_customers_of_a_group_alone(merchant: Merchant) -> None:
    for group, emails in (("trade", ["ada@example.com"]), ("none", [])):
        done = await exported(merchant, group="customers", format="ndjson", filter=ExportFilter(customer_group=group))
        assert done.progress.total == len(emails)
        lines = (await content(merchant, done)).decode().splitlines()
        assert [orjson.loads(line)["email"] for line in lines] == emails


@pytest.mark.feature("GAT-3")
async def test_who_may_not_see_customers_neither_exports_nor_downloads_them(merchant: Merchant) -> None:
    def somebody(**limits: Any) -> Caller:
        return Caller(kind="client", organization_id=merchant.organization_id, id=new_id(), **limits)

    done = await exported(merchant, group="customers")
    for caller, code in (
        (somebody(scopes=frozenset({"catalog:read", "inventory:read"})), "missing_scope"),
        (somebody(scopes=frozenset({"admin"}), shop_ids=frozenset({new_id()})), "group_of_all_shops"),
    ):
        with pytest.raises(CrossdockError) as refused:
            await merchant.ask(StartExport(draft=ExportDraft(group="customers")), caller=caller)
        assert refused.value.code == code
    with pytest.raises(CrossdockError) as refused:
        reader = somebody(scopes=frozenset({"catalog:read", "inventory:read"}))
        await merchant.ask(GetExportFile(export_id=done.id), caller=reader)
    assert refused.value.code == "missing_scope"
    assert (await Merchant(merchant.process).ask(ReadRowsOfGroup(group="customers"), inside="catalog")).rows == []


@pytest.mark.feature("CAT-7")
async def test_what_is_wrong_with_an_address_is_told_by_its_own_column(merchant: Merchant) -> None:
    wrong = f"sam@example.com,{'x' * 500},1 Quay,Portsea,US"
    done = await bring_in(merchant, wrong, header="email,ship_to,line1,city,country")
    assert done.counters["errors"] == 1
    [remark] = await merchant.inside("orders", _remarks)
    assert (remark["column_name"], remark["message"].split(":")[0]) == ("ship_to", "ship_to")


async def _remarks(uow: Any) -> Any:
    return await uow.fetch("SELECT column_name, message FROM import_remarks WHERE is_error")
