"""Files that say all there is: of a centre's stock, of what a supplier supplies; and files that name what goes."""

from typing import Any

import pytest

from services.inventory.use_cases import importing, link_files, supplier_files
from shared.contracts.inventory.ledger import AdjustStock
from shared.contracts.inventory.messages import CreateFulfilmentCentre, ListStock
from shared.contracts.inventory.suppliers import (
    CreateSupplier,
    CreateSupplierLink,
    ListSupplierLinks,
    ListSuppliers,
    SupplierDraft,
    SupplierLinkDraft,
)
from shared.contracts.platform.imports import ConfirmImport, Import, ListImportRemarks, ListImportSamples
from shared.errors import CrossdockError
from tests.factories.inventory import Merchant
from tests.services.inventory.test_import_undo import undone
from tests.services.inventory.test_stock_import import bring_in, merchant, on_hand, run  # noqa: F401

pytestmark = pytest.mark.feature("CAT-6", "CAT-9")


async def remarks(merchant: Merchant, done: Import, kind: str = "error") -> list[tuple[Any, ...]]:  # noqa: F811
    page = await merchant.ask(ListImportRemarks(import_id=done.id, kind=kind))
    return [(each.row, each.column, each.code) for each in page.items if each.code != "sku_not_in_catalog"]


async def places(merchant: Merchant) -> dict[tuple[str, str], int]:  # noqa: F811
    levels = (await merchant.ask(ListStock(first=200))).items
    return {(level.sku, level.centre): level.on_hand for level in levels}


async def samples(merchant: Merchant, done: Import, kind: str) -> list[str]:  # noqa: F811
    return [each.name for each in (await merchant.ask(ListImportSamples(import_id=done.id, kind=kind))).items]


def harms(done: Import) -> list[tuple[str, int, int]]:
    return [(harm.what, harm.count, harm.of) for harm in done.harms]


@pytest.mark.feature("INV-2")
@pytest.mark.parametrize("on_error", ["skip", "abort"])
async def test_a_count_of_a_whole_centre_empties_what_it_does_not_name(
    merchant: Merchant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    on_error: str,
) -> None:
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    monkeypatch.setattr(importing, "ZEROED_AT_ONCE", 2)
    await merchant.ask(CreateFulfilmentCentre(code="far", name="Far"))
    await merchant.stocked({"A": 5, "B": 5, "C": 5, "D": 5, "E": 0})
    await merchant.stocked({"A": 4, "F": 4}, centre="far")
    content = b"sku,centre,on_hand\nA,main,6\nNEW,main,1\n"
    tried = await bring_in(merchant, content, mode="replace", dry_run=True)
    assert (tried.counters["stock_updated"], tried.counters["stock_inserted"], tried.counters["stock_zeroed"]) == (
        1,
        1,
        3,
    )
    assert harms(tried) == [("stock_zeroed", 3, 6)]
    assert await samples(merchant, tried, "delete") == ["B in main", "C in main", "D in main"]
    assert (await on_hand(merchant))["B"] == 5

    held = await bring_in(merchant, content, mode="replace", on_error=on_error)
    assert (held.state, harms(held)) == ("held", [("stock_zeroed", 3, 6)])
    done = await run(merchant, await merchant.ask(ConfirmImport(import_id=held.id)))
    assert (done.state, done.counters["stock_zeroed"]) == ("succeeded", 3)
    at = await places(merchant)
    assert at == {
        ("A", "main"): 6,
        ("NEW", "main"): 1,
        ("E", "main"): 0,
        **{(sku, "main"): 0 for sku in "BCD"},
        ("A", "far"): 4,
        ("F", "far"): 4,
    }
    await merchant.ask(AdjustStock(sku="C", delta=2, reason="found"))
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts) == ("undone", [("C in main", "on_hand", "touched_since")])
    at = await places(merchant)
    assert [at[sku, "main"] for sku in ("A", "B", "C", "D", "NEW")] == [5, 5, 2, 5, 0]
    assert await merchant.discrepancies() == []


@pytest.mark.feature("INV-2", "CAT-7")
async def test_a_count_with_refused_rows_empties_nothing(merchant: Merchant) -> None:  # noqa: F811
    await merchant.stocked({"A": 5, "B": 5})
    done = await bring_in(merchant, b"sku,on_hand,delta\nA,6,\nB,,1\n", mode="replace", guard_percent=100)
    assert (done.state, await on_hand(merchant)) == ("succeeded", {"A": 6, "B": 5})
    assert await remarks(merchant, done) == [(3, "delta", "delta_in_replace")]
    assert await remarks(merchant, done, "notice") == [(1, None, "missing_not_zeroed")]


async def supplied(merchant: Merchant) -> dict[tuple[str, str], tuple[Any, ...]]:  # noqa: F811
    found = (await merchant.ask(ListSupplierLinks())).items
    return {
        (each.supplier, each.sku): (each.supplier_sku, each.cost and each.cost.amount, each.pack_size, each.is_primary)
        for each in found
    }


async def supply(merchant: Merchant) -> dict[tuple[str, str], tuple[Any, ...]]:  # noqa: F811
    for code in ("ada", "bea"):
        draft = SupplierDraft(code=code, name=code, currency="USD", contact_name="Somebody", lead_time_days=3)
        await merchant.ask(CreateSupplier(supplier=draft))
    content = b"supplier,sku,supplier_sku,cost,pack_size,is_primary\n" + b"".join(
        b"%s,%s,x,1.50,4,%s\n" % row
        for row in (
            (b"ada", b"A", b"yes"),
            (b"ada", b"B", b"yes"),
            (b"ada", b"C", b"no"),
            (b"ada", b"D", b"no"),
            (b"bea", b"A", b"no"),
            (b"bea", b"C", b"yes"),
        )
    )
    await bring_in(merchant, content, group="supplier-links")
    return await supplied(merchant)


@pytest.mark.feature("INV-8")
async def test_a_list_of_a_supplier_removes_what_it_does_not_name_and_empties_what_it_leaves_empty(
    merchant: Merchant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_files, "REMOVED_AT_ONCE", 2)
    before = await supply(merchant)
    content = b"supplier,sku,supplier_sku,cost,pack_size\nada,A,y,,\nada,E,z,2.00,\n"
    tried = await bring_in(merchant, content, group="supplier-links", mode="replace", dry_run=True)
    assert (tried.counters["supplier_links_deleted"], harms(tried)) == (3, [("supplier_links_deleted", 3, 6)])
    assert await samples(merchant, tried, "delete") == ["ada B", "ada C", "ada D"]
    assert await supplied(merchant) == before
    held = await bring_in(merchant, content, group="supplier-links", mode="replace")
    assert held.state == "held"
    done = await run(merchant, await merchant.ask(ConfirmImport(import_id=held.id)))
    assert (done.state, done.counters["supplier_links_deleted"]) == ("succeeded", 3)
    assert await supplied(merchant) == {
        ("ada", "A"): ("y", None, 1, True),
        ("ada", "E"): ("z", 200, 1, False),
        ("bea", "A"): ("x", 150, 4, False),
        ("bea", "C"): ("x", 150, 4, True),
    }
    await merchant.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier="ada", sku="D")))
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts) == ("undone", [("ada D", None, "touched_since")])
    assert await supplied(merchant) == before | {("ada", "D"): (None, None, 1, False)}


@pytest.mark.feature("INV-8", "CAT-7")
async def test_links_that_a_file_names_go_and_come_back(merchant: Merchant) -> None:  # noqa: F811
    before = await supply(merchant)
    content = b"supplier,sku\nada,A\nada,Z\nnobody,A\n"
    done = await bring_in(merchant, content, group="supplier-links", mode="delete")
    assert (done.state, done.counters["supplier_links_deleted"]) == ("succeeded", 1)
    assert await remarks(merchant, done) == [
        (3, "sku", "supplier_link_not_found"),
        (4, "supplier", "supplier_not_found"),
    ]
    assert await supplied(merchant) == {key: link for key, link in before.items() if key != ("ada", "A")}
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts, await supplied(merchant)) == ("undone", [], before)
    many = await bring_in(merchant, b"supplier,sku\nada,A\nada,B\n", group="supplier-links", mode="delete")
    assert (many.state, harms(many)) == ("held", [("supplier_links_deleted", 2, 6)])


@pytest.mark.feature("INV-8")
async def test_suppliers_are_replaced_and_deleted_that_is_deactivated(merchant: Merchant) -> None:  # noqa: F811
    await supply(merchant)
    content = b"code,name,contact_name,lead_time_days\nada,,,\n"
    replaced = await bring_in(merchant, content, group="suppliers", mode="replace")
    assert replaced.counters["suppliers_updated"] == 1

    async def suppliers() -> dict[str, tuple[Any, ...]]:
        found = (await merchant.ask(ListSuppliers())).items
        return {each.code: (each.name, each.contact_name, each.lead_time_days, each.is_active) for each in found}

    before = await suppliers()
    assert before == {"ada": ("ada", None, None, True), "bea": ("bea", "Somebody", 3, True)}
    tried = await bring_in(merchant, b"code\nbea\nzoe\n", group="suppliers", mode="delete", dry_run=True)
    assert (tried.counters["suppliers_archived"], harms(tried)) == (1, [("suppliers_deactivated", 1, 2)])
    assert await samples(merchant, tried, "delete") == ["bea"]
    done = await bring_in(merchant, b"code\nbea\nzoe\n", group="suppliers", mode="delete", guard_percent=100)
    assert await remarks(merchant, done) == [(3, "code", "supplier_not_found")]
    assert await suppliers() == before | {"bea": ("bea", "Somebody", 3, False)}
    over, conflicts = await undone(merchant, done)
    assert (over.state, conflicts, await suppliers()) == ("undone", [], before)


async def test_what_is_not_replaced_or_deleted_says_why(merchant: Merchant) -> None:  # noqa: F811
    with pytest.raises(CrossdockError) as refusal:
        await bring_in(merchant, b"sku,on_hand\nA,0\n", mode="delete")
    assert (refusal.value.code, "ledger" in refusal.value.detail) == ("unsupported_mode", True)


@pytest.mark.feature("INV-8", "CAT-7")
async def test_two_rows_that_make_a_sku_s_link_primary_are_told(
    merchant: Merchant,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supplier_files, "CHUNK_ROWS", 1)
    for code in ("ada", "bea"):
        await merchant.ask(CreateSupplier(supplier=SupplierDraft(code=code, name=code, currency="USD")))
    content = b"supplier,sku,is_primary\nada,A,yes\nbea,B,yes\nbea,A,yes\n"
    done = await bring_in(merchant, content, group="supplier-links")
    assert await remarks(merchant, done, "notice") == [(4, "sku", "primary_twice")]
    assert {key: link[3] for key, link in (await supplied(merchant)).items()} == {
        ("ada", "A"): False,
        ("bea", "A"): True,
        ("bea", "B"): True,
    }
