"""Orders as a file: imported again none of them changes, nor is any there twice."""

import io
from typing import Any

import polars
import pytest

from deploy import topology
from shared.contracts.orders.customers import EraseCustomer, ListCustomers
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import Seller
from tests.services.orders.test_imported_orders import FakeConnection, dollars
from tests.services.orders.test_order_files import Files, bazaar, line, outcomes, row, seller  # noqa: F401

pytestmark = pytest.mark.feature("CAT-10", "CAT-8", "ORD-5")


@pytest.fixture
def files(bazaar: FakeConnection, seller: Seller) -> Files:  # noqa: F811
    return Files(bazaar, caller_of(seller.organization_id, "catalog:read", "orders:write"))


async def exported(files: Files, form: str = "csv", **orders: Any) -> tuple[dict[str, Any], bytes]:
    """What came of an export, and its file."""
    wanted = {"filter": {"orders": orders}} if orders else {}
    asked = {"group": "orders", "format": form, **wanted}
    started = await files.client.post("/v1/exports", json=asked, headers=files.headers)
    assert started.status_code == 202, started.text

    async def look() -> Any:
        found = (await files.get(f"exports/{started.json()['id']}")).json()
        return found if found["state"] not in ("queued", "running") else None

    done = await eventually(look, 60)
    assert done["state"] == "succeeded", done["error"]
    return done, (await files.get(f"exports/{done['id']}/file")).content


async def numbers(files: Files) -> list[str]:
    return sorted(each["number"] for each in (await files.get("orders", first=200)).json()["items"])


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet", "xlsx"])
async def test_orders_come_back_unchanged(
    files: Files,
    bazaar: FakeConnection,  # noqa: F811
    seller: Seller,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.setattr("services.orders.use_cases.order_exports._MOST_ORDERS", 2)
    own = await seller.place(MUG=2, CUP=1)
    charges = {"shipping_price": "5.00", "discount": "3.00", "discount_name": "SPRING", "tax": "1.00"}
    first = row("b-1", number="#1", total="23.50", **charges)
    await files.bring_in([first, line("b-1", sku="CUP", quantity="1", unit_price="2.50"), row("-5")])
    imported = await bazaar.imported("b-1")
    await bazaar.imported("-5")
    # What a connection sends may have more than one of a kind.
    twice = [{"name": "A", "amount": dollars(100)}, {"name": "B", "amount": dollars(50)}]
    await bazaar.send(bazaar.order("sent", discounts=twice, total=dollars(1650)))
    await bazaar.imported("sent")
    before = await numbers(files)
    done, file = await exported(files, form)
    assert done["counters"] == {"rows": 6, "orders": 4}

    again = await files.bring_in(file)
    assert (again["error"], again["counters"]["errors"], outcomes(again)) == (None, 0, (0, 0, 4, 0))
    assert await files.remarks(again, "notice") == []
    assert await numbers(files) == before
    assert (await files.get(f"orders/{imported['id']}")).json() == imported
    assert (await seller.order(own.id)) == own
    assert await seller.discrepancies() == []


async def test_an_own_order_is_left_as_it_is_and_never_made(files: Files, seller: Seller) -> None:  # noqa: F811
    own = await seller.place(MUG=2)
    _, file = await exported(files)
    changed = file.replace(f",{own.status},".encode(), b",complete,")
    assert changed != file
    done = await files.bring_in(changed)
    assert (outcomes(done), await files.remarks(done, "notice")) == ((0, 0, 1, 0), [(2, None, "own_order_stays")])
    assert outcomes(await files.bring_in(file, mode="insert-only")) == (0, 0, 0, 1)
    strange = await files.bring_in(file.replace(str(own.id).encode(), str(own.id)[::-1].encode()))
    assert (strange["state"], await files.remarks(strange)) == ("failed", [(2, None, "unknown_order")])
    assert await numbers(files) == [own.number]


async def test_without_a_connection_too(process: topology.Surrounded, client: Client) -> None:
    lonely = await Seller(process).open({"MUG": "10.00"}, {"MUG": 5})
    own = await lonely.place(MUG=1)
    files = Files(FakeConnection(client, lonely), caller_of(lonely.organization_id, "catalog:read", "orders:write"))
    _, file = await exported(files)
    assert outcomes(await files.bring_in(file)) == (0, 0, 1, 0)
    assert await numbers(files) == [own.number]


async def test_who_was_forgotten_stays_so(
    files: Files,
    bazaar: FakeConnection,  # noqa: F811
    seller: Seller,  # noqa: F811
) -> None:
    await files.bring_in([row("done", status="done")])
    order = await bazaar.imported("done")
    customer = next(c for c in (await seller.ask(ListCustomers())).items if c.email == "ada@example.com")
    await seller.ask(EraseCustomer(customer_id=customer.id, reason="asked"))
    _, file = await exported(files)
    assert b"ada@example.com" not in file
    assert order["id"].encode() in file
    assert outcomes(await files.bring_in(file)) == (0, 0, 1, 0)


@pytest.mark.feature("SYN-13")
async def test_sets_words_and_shops_choose(files: Files, bazaar: FakeConnection, seller: Seller) -> None:  # noqa: F811
    own = await seller.place(MUG=1)
    await files.bring_in([row("b-1")])
    order = await bazaar.imported("b-1")

    async def ids(**wanted: Any) -> set[str]:
        frame = polars.read_parquet(io.BytesIO((await exported(files, "parquet", **wanted))[1]))
        return set(frame["external_id"])

    assert await ids(sets=["today"]) == {str(own.id)}
    assert await ids(sets=["2026-01"]) == {"b-1"}
    assert await ids(number=order["number"]) == {"b-1"}
    asked = {"group": "orders", "filter": {"status": ["active"]}}
    refused = await files.client.post("/v1/exports", json=asked, headers=files.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported_filter")
    asked = {"group": "products", "filter": {"orders": {"sets": ["today"]}}}
    refused = await files.client.post("/v1/exports", json=asked, headers=files.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported_filter")
    for scopes in (("catalog:read",), ("catalog:read", "storefront")):
        other = files.client.speaking_as(caller_of(seller.organization_id, *scopes))
        refused = await files.client.post("/v1/exports", json={"group": "orders"}, headers=other)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    draft = {"group": "orders", "filter": {"orders": {"sets": ["today"]}}}
    query = "mutation($d: ExportDraftInput!) { startExport(draft: $d) { ... on Export { group } } }"
    answer = await files.client.post(
        "/graphql", json={"query": query, "variables": {"d": draft}}, headers=files.headers
    )
    assert answer.json().get("data") == {"startExport": {"group": "orders"}}, answer.text
