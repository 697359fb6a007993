"""Imports of stock, suppliers and their links, taken back."""

from typing import Any

import pytest

from deploy import topology
from services.inventory.use_cases import importing
from shared import jobs
from shared.contracts.inventory.ledger import AdjustStock
from shared.contracts.inventory.messages import ListStock, ListStockMovements
from shared.contracts.inventory.suppliers import (
    ChangeSupplier,
    ChangeSupplierLink,
    CreateSupplier,
    CreateSupplierLink,
    ListSupplierLinks,
    ListSuppliers,
    SupplierChange,
    SupplierDraft,
    SupplierLinkChange,
    SupplierLinkDraft,
)
from shared.contracts.platform.imports import GetImport, Import, ListImportConflicts, UndoImport
from shared.errors import CrossdockError
from shared.imports import images
from tests.factories.inventory import Merchant
from tests.services.inventory.test_stock_import import bring_in, merchant, on_hand  # noqa: F401

pytestmark = pytest.mark.feature("CAT-9")


async def undone(merchant: Merchant, done: Import) -> tuple[Import, list[tuple[Any, ...]]]:  # noqa: F811
    """An import taken back, and its conflicts."""
    asked = await merchant.ask(UndoImport(import_id=done.id))
    runner = jobs.JobRunner(topology.named("inventory")[0], merchant.process.surroundings)
    runner.start(merchant.organization_id, asked.undo.job_id)
    for task in list(runner._running.values()):
        await task
    over: Import = await merchant.ask(GetImport(import_id=done.id))
    page = await merchant.ask(ListImportConflicts(import_id=done.id))
    return over, sorted(((each.name, each.field, each.code) for each in page.items), key=str)


@pytest.mark.feature("INV-2")
@pytest.mark.parametrize("at_once", [500, 2])
async def test_stock_comes_back_by_counter_movements(
    merchant: Merchant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(images, "CHUNK", at_once)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    await merchant.stocked({"A": 5, "B": 5, "C": 5, "D": 5})
    rows = b"A,,9,,\nB,,,-2,backorder\nNEW,,4,,\nC,,5,,backorder\nD,,8,,\n"
    done = await bring_in(merchant, b"sku,centre,on_hand,delta,policy\n" + rows)
    assert (done.state, done.can_be_undone) == ("succeeded", True)
    assert await on_hand(merchant) == {"A": 9, "B": 3, "NEW": 4, "C": 5, "D": 8}
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts) == ("undone", [])
    assert await on_hand(merchant) == {"A": 5, "B": 5, "NEW": 0, "C": 5, "D": 5}
    page = await merchant.ask(ListStock(first=200))
    assert {level.sku: level.policy for level in page.items if level.policy != "standard"} == {}
    ledger = (await merchant.ask(ListStockMovements(sku="A"))).items
    last = max(ledger, key=lambda movement: movement.number)
    assert (last.reason, last.on_hand_before, last.on_hand_after) == ("adjusted", 9, 5)
    assert (last.reference, last.note) == (f"undo {done.id}", f"Import {done.id} was taken back.")
    assert len(ledger) == 3
    with pytest.raises(CrossdockError) as refusal:
        await merchant.ask(UndoImport(import_id=done.id))
    assert refusal.value.code == "import_already_undone"


@pytest.mark.feature("INV-2")
async def test_stock_that_moved_since_stays(merchant: Merchant) -> None:  # noqa: F811
    """Also where it has come to the same figure again."""
    await merchant.stocked({"A": 5, "B": 5, "C": 5})
    done = await bring_in(merchant, b"sku,on_hand,policy\nA,9,\nB,9,always\nC,9,\n")
    for sku, delta in (("A", -1), ("B", 1), ("B", -1)):
        await merchant.ask(AdjustStock(sku=sku, delta=delta, reason="broken"))
    over, conflicts = await undone(merchant, done)
    assert (over.state, over.undo and over.undo.conflicts) == ("undone", 2)
    assert conflicts == [("A in main", "on_hand", "touched_since"), ("B in main", "on_hand", "touched_since")]
    assert await on_hand(merchant) == {"A": 8, "B": 9, "C": 5}
    page = await merchant.ask(ListStock(first=200))
    assert {level.policy for level in page.items} == {"standard"}


async def test_a_dry_run_and_one_that_wrote_nothing_leave_no_images(merchant: Merchant) -> None:  # noqa: F811
    await merchant.stocked({"A": 5})
    tried = await bring_in(merchant, b"sku,on_hand\nA,9\n", dry_run=True)
    assert not tried.can_be_undone
    await bring_in(merchant, b"sku,on_hand\nA,9\nB,-1\n", on_error="abort")
    assert await merchant.rows("inventory", "SELECT * FROM import_images") == []


async def suppliers(merchant: Merchant) -> dict[str, str]:  # noqa: F811
    return {each.code: each.name for each in (await merchant.ask(ListSuppliers())).items}


@pytest.mark.feature("INV-8")
async def test_suppliers_come_back_and_new_ones_go_unless_they_supply(merchant: Merchant) -> None:  # noqa: F811
    for code in ("ada", "bea"):
        await merchant.ask(CreateSupplier(supplier=SupplierDraft(code=code, name=code, currency="USD")))
    rows = b"ada,Ada Ltd,5\nbea,Bea Ltd,5\ncleo,Cleo,\ndora,Dora,\n"
    content = b"code,name,lead_time_days,currency\n" + rows.replace(b"\n", b",USD\n")
    done = await bring_in(merchant, content, group="suppliers")
    bea = next(each for each in (await merchant.ask(ListSuppliers())).items if each.code == "bea")
    await merchant.ask(ChangeSupplier(supplier_id=bea.id, change=SupplierChange(name="Beatrix")))
    await merchant.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier="dora", sku="A")))
    over, conflicts = await undone(merchant, done)
    assert over.state == "undone"
    assert conflicts == [("bea", "name", "touched_since"), ("dora", None, "in_use")]
    assert await suppliers(merchant) == {"ada": "ada", "bea": "Beatrix", "dora": "Dora"}
    days = {each.code: each.lead_time_days for each in (await merchant.ask(ListSuppliers())).items}
    assert (days["ada"], days["bea"]) == (None, None)


async def links(merchant: Merchant) -> dict[tuple[str, str], tuple[Any, ...]]:  # noqa: F811
    page = await merchant.ask(ListSupplierLinks())
    return {(each.supplier, each.sku): (each.is_primary, each.cost and each.cost.amount) for each in page.items}


@pytest.mark.feature("INV-8")
@pytest.mark.parametrize("at_once", [500, 1])
async def test_links_come_back_with_who_was_primary(
    merchant: Merchant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(images, "CHUNK", at_once)
    for code in ("ada", "bea", "cleo"):
        await merchant.ask(CreateSupplier(supplier=SupplierDraft(code=code, name=code, currency="USD")))
    for sku in ("X", "Y"):
        await merchant.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier="ada", sku=sku, is_primary=True)))
    await merchant.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier="cleo", sku="Y")))
    before = await links(merchant)
    rows = b"bea,X,3.00,yes\nada,X,2.00,\nbea,Y,4.00,yes\n"
    done = await bring_in(merchant, b"supplier,sku,cost,is_primary\n" + rows, group="supplier-links")
    assert (await links(merchant))["bea", "X"] == (True, 300)
    cleo = next(each for each in (await merchant.ask(ListSupplierLinks())).items if each.supplier == "cleo")
    await merchant.ask(ChangeSupplierLink(link_id=cleo.id, change=SupplierLinkChange(is_primary=True)))
    over, conflicts = await undone(merchant, done)
    assert over.state == "undone"
    # Somebody chose another primary link for Y: what the file made has been touched by it, and so has what was before.
    assert conflicts == [("ada Y", "is_primary", "not_possible"), ("bea Y", None, "touched_since")]
    now = await links(merchant)
    assert {key: now[key] for key in before if key[1] == "X"} == {("ada", "X"): (True, None)}
    assert (now["cleo", "Y"], now["ada", "Y"], now["bea", "Y"]) == ((True, None), (False, None), (False, 400))
