"""Files of customers through the pipeline of imports."""

import hashlib
from typing import Any

import pytest

from deploy import topology
from services.orders.use_cases import customer_files
from shared import blobs, jobs
from shared.contracts.orders.customers import (
    CreateCustomer,
    Customer,
    CustomerChange,
    EraseCustomer,
    ListCustomers,
    NewCustomer,
    UpdateCustomer,
)
from shared.contracts.platform.imports import (
    GetImport,
    Import,
    ListImportConflicts,
    ListImportRemarks,
    ListImportSamples,
    StartImport,
    UndoImport,
    import_id_for,
)
from shared.errors import CrossdockError
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("ORD-6", "CAT-5", "CAT-6")

HEADER = "Email,name,customer_group,line1,city,country"


@pytest.fixture
async def merchant(process: topology.Surrounded) -> Merchant:
    return Merchant(process)


async def bring_in(
    merchant: Merchant, *rows: str, header: str = HEADER, content: bytes | None = None, **parameters: Any
) -> Import:
    content = content or "\n".join([header, *rows]).encode()
    import_id = import_id_for("customers")
    key = f"imports/{import_id}/upload"
    await blobs.put(merchant.organization_id, key, content)
    checksum = hashlib.sha256(content).hexdigest()
    started = await merchant.ask(
        StartImport(import_id=import_id, key=key, size=len(content), sha256=checksum, group="customers", **parameters)
    )
    runner = jobs.JobRunner(topology.named("orders")[0], merchant.process.surroundings)
    runner.start(merchant.organization_id, started.job_id)
    for task in list(runner._running.values()):
        await task
    done: Import = await merchant.ask(GetImport(import_id=started.id))
    return done


async def known(merchant: Merchant) -> dict[str, Customer]:
    page = await merchant.ask(ListCustomers(first=200))
    return {customer.email: customer for customer in page.items}


async def test_a_file_makes_and_changes_customers(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_files, "CHUNK_ROWS", 2)
    await merchant.ask(CreateCustomer(customer=NewCustomer(email="ada@example.com", name="Ada", notes="tea")))
    rows = [
        "ADA@example.com,,wholesale,1 Quay,Portsea,us",
        "grace@example.com,Grace,,,,",
        "mary@example.com,Mary,vip,,,",
    ]
    done = await bring_in(merchant, *rows)
    assert (done.state, done.counters["customers_inserted"], done.counters["customers_updated"]) == ("succeeded", 2, 1)
    ada = (await known(merchant))["ada@example.com"]
    assert (ada.name, ada.notes, ada.customer_group, ada.version) == ("Ada", "tea", "wholesale", 2)
    assert [(each.country, each.is_default, each.kind) for each in ada.addresses] == [("US", True, "shipping")]
    again = await bring_in(merchant, *rows)
    assert (again.counters["customers_unchanged"], again.counters["customers_updated"]) == (3, 0)
    moved = await bring_in(merchant, "ada@example.com,,,2 Quay,Portsea,us")
    assert moved.counters["customers_updated"] == 1
    ada = (await known(merchant))["ada@example.com"]
    assert ([each.line1 for each in ada.addresses], ada.version) == (["2 Quay"], 3)


async def test_modes_and_dry_runs(merchant: Merchant) -> None:
    await bring_in(merchant, "ada@example.com,Ada,,,,")
    rows = ["ada@example.com,Countess,,,,", "grace@example.com,Grace,,,,"]
    dry = await bring_in(merchant, *rows, dry_run=True)
    assert (dry.counters["customers_inserted"], dry.counters["customers_updated"]) == (1, 1)
    samples = (await merchant.ask(ListImportSamples(import_id=dry.id))).items
    assert {(sample.kind, sample.name) for sample in samples} == {
        ("insert", "grace@example.com"),
        ("update", "ada@example.com"),
    }
    assert {email: each.name for email, each in (await known(merchant)).items()} == {"ada@example.com": "Ada"}
    await bring_in(merchant, *rows, mode="update-only")
    assert {email: each.name for email, each in (await known(merchant)).items()} == {"ada@example.com": "Countess"}
    rows[0] = "ada@example.com,Nobody,,,,"
    done = await bring_in(merchant, *rows, mode="insert-only")
    assert done.counters["customers_skipped"] == 1
    names = {email: each.name for email, each in (await known(merchant)).items()}
    assert names == {"ada@example.com": "Countess", "grace@example.com": "Grace"}


async def test_rows_that_cannot_be_taken_are_named(merchant: Merchant) -> None:
    rows = [
        "nobody,,,,,",
        "ada@example.com,A,,1 Quay,,",
        "grace@example.com,,,,,",
        "GRACE@example.com,,,,,",
        ",Mary,,,,",
    ]
    done = await bring_in(merchant, *rows)
    remarks = (await merchant.ask(ListImportRemarks(import_id=done.id))).items
    assert [(each.row, each.code) for each in remarks] == [
        (2, "invalid_value"),
        (3, "invalid_value"),
        (5, "duplicate_key"),
        (6, "missing_value"),
    ]
    assert list(await known(merchant)) == ["grace@example.com"]
    for parameters, code in (
        ({"mode": "delete"}, "unsupported_mode"),
        ({"shop": "main"}, "customers_have_no_shop"),
        ({"profile": "shopify"}, "unsupported_profile"),
    ):
        with pytest.raises(CrossdockError) as refusal:
            await bring_in(merchant, "ada@example.com,,,,,", **parameters)
        assert refusal.value.code == code


async def undone(merchant: Merchant, done: Import) -> tuple[Import, list[tuple[Any, ...]]]:
    """An import taken back, and its conflicts."""
    asked = await merchant.ask(UndoImport(import_id=done.id))
    runner = jobs.JobRunner(topology.named("orders")[0], merchant.process.surroundings)
    runner.start(merchant.organization_id, asked.undo.job_id)
    for task in list(runner._running.values()):
        await task
    over: Import = await merchant.ask(GetImport(import_id=done.id))
    page = await merchant.ask(ListImportConflicts(import_id=done.id))
    return over, [(each.name, each.field, each.code) for each in page.items]


@pytest.mark.feature("CAT-9")
async def test_an_import_of_customers_is_taken_back(merchant: Merchant) -> None:
    await merchant.ask(CreateCustomer(customer=NewCustomer(email="ada@example.com", name="Ada", notes="tea")))
    await bring_in(merchant, "eve@example.com,Eve,,1 Quay,Porto,PT")
    rows = (
        "ada@example.com,Ada L,trade,2 Quay,Faro,PT",
        "eve@example.com,,vip,3 Quay,Porto,PT",
        "new@example.com,,,,,",
    )
    done = await bring_in(merchant, *rows, "kept@example.com,Kay,,,,")
    assert done.can_be_undone
    before = await known(merchant)
    kept = before["kept@example.com"]
    await merchant.ask(UpdateCustomer(customer_id=kept.id, change=CustomerChange(notes="called")))
    eve = before["eve@example.com"]
    await merchant.ask(UpdateCustomer(customer_id=eve.id, change=CustomerChange(customer_group="press")))
    over, conflicts = await undone(merchant, done)
    assert (over.state, over.undo and over.undo.conflicts) == ("undone", 2)
    assert sorted(conflicts, key=str) == [
        ("eve@example.com", "customer_group", "touched_since"),
        ("kept@example.com", None, "touched_since"),
    ]
    now = await known(merchant)
    assert sorted(now) == ["ada@example.com", "eve@example.com", "kept@example.com"]
    ada = now["ada@example.com"]
    assert (ada.name, ada.customer_group, ada.notes, ada.addresses) == ("Ada", None, "tea", [])
    assert now["eve@example.com"].customer_group == "press"
    assert [address.line1 for address in now["eve@example.com"].addresses] == ["1 Quay"]


@pytest.mark.feature("CAT-9", "ORD-6")
async def test_who_is_forgotten_is_forgotten_by_imports_too(merchant: Merchant) -> None:
    done = await bring_in(merchant, "ada@example.com,Ada,,1 Quay,Porto,PT", "eve@example.com,Eve,,,,")
    ada = (await known(merchant))["ada@example.com"]
    await merchant.ask(EraseCustomer(customer_id=ada.id, reason="asked"))
    left = await merchant.rows("orders", "SELECT name FROM import_images")
    assert [row["name"] for row in left] == ["eve@example.com"]
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts) == ("undone", [])
