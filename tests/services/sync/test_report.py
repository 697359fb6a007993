"""Every product beside what it is on each connection, as CSV (SYN-15)."""

import csv
import io
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from services.sync.use_cases import reporting
from shared.bus.envelope import Caller
from shared.identifiers import new_id
from tests.doors import Client
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products

pytestmark = pytest.mark.feature("SYN-15")
PATH = "/v1/listing-report"


async def report(connected: Connected, query: str = "") -> list[dict[str, str]]:
    """The rows, by SKU."""
    answer = await connected.client.get(f"{PATH}{query}", headers=connected.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return sorted(csv.DictReader(io.StringIO(answer.text)), key=lambda row: row["sku"])


async def imported(connected: Connected, fake: CustomShop, count: int) -> None:
    put_products(fake, count)
    await connected.confirm_matches()
    await connected.run("import_products")


async def test_a_product_stands_beside_what_it_is_on_a_platform(connected: Connected, fake: CustomShop) -> None:
    for number in (1, 2):
        fake.put_stock(f"SCARF-{number}", "main", 10 + number)
    await imported(connected, fake, 2)
    ours = await connected.post("/v1/products", {"title": "=Ours", "variants": [{"sku": "ZOURS"}]}, status=201)
    settings = connected.connection["settings"] | {"locations": {"main": "main"}}
    await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": settings}, headers=connected.headers
    )
    await connected.run("import_stock")
    _, fields, variants = product(2, status="paused")
    variants["20"]["price"] = {"amount": 2500, "currency": "EUR"}
    fake.put_product("2", fields, variants)
    fields = settings | {"fields": {"variant.price": {"policy": "review"}, "status": {"policy": "review"}}}
    await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": fields}, headers=connected.headers
    )
    await connected.run("update_products")
    at = f"/v1/products/{(await connected.products())['scarf-2']['id']}/channel-content/connections/{connected.id}"
    own = {"title": "=Own", "variants": [{"sku": "SCARF-2", "weight_grams": 9}]}
    assert (await connected.client.patch(at, json=own, headers=connected.headers)).status_code == 200

    first, second, other = await report(connected)

    assert {name: first[name] for name in ("title", "status", "sku", "price", "currency", "stock")} == {
        "title": "Scarf 1",
        "status": "active",
        "sku": "SCARF-1",
        "price": "19.99",
        "currency": "EUR",
        "stock": "11",
    }
    there = {name.removeprefix("Quay: "): value for name, value in second.items() if name.startswith("Quay: ")}
    assert there == {
        "external_id": "2",
        "variant_id": "20",
        "status": "paused",
        "price": "25.00",
        "currency": "EUR",
        "quantity": "12",
        "open_changes": "2",
        "issues": "0",
        "title": "'=Own",
        "own_fields": "title weight_grams",
    }
    assert (first["Quay: title"], first["Quay: own_fields"], second["title"]) == ("Scarf 1", "", "Scarf 2")
    assert (second["status"], second["price"]) == ("active", "19.99")
    assert (other["product_id"], other["title"], other["stock"]) == (ours["id"], "'=Ours", "")
    assert {value for name, value in other.items() if name.startswith("Quay: ")} == {""}


@pytest.fixture
async def others() -> AsyncIterator[tuple[CustomShop, CustomShop]]:
    """Two more shops on the same platform."""
    shops = CustomShop(), CustomShop()
    for shop in shops:
        await shop.start()
    yield shops
    for shop in shops:
        await shop.stop()


async def test_each_connection_has_its_block_and_filters_choose(
    connected: Connected, fake: CustomShop, others: tuple[CustomShop, CustomShop]
) -> None:
    await imported(connected, fake, 1)
    second = await connected.connect(platform=others[0].settings)
    third = await connected.post(
        "/v1/connections", connected.draft(platform=others[1].settings) | {"name": "=Third"}, status=201
    )
    (row,) = await report(connected)
    blocks = [name for name in row if name.endswith(": external_id")]
    assert blocks == ["Quay: external_id", f"Quay ({second['id']}): external_id", "'=Third: external_id"]
    assert [row[name] for name in blocks] == ["1", "", ""]
    (row,) = await report(connected, f"?connection_id={third['id']}")
    assert [name for name in row if name.endswith(": external_id")] == ["'=Third: external_id"]
    (row,) = await report(connected, "?shop=main")
    assert len([name for name in row if name.endswith(": external_id")]) == 3
    for query, code in (("?shop=moon", "shop_not_found"), (f"?connection_id={new_id()}", "connection_not_found")):
        refused = await connected.client.get(f"{PATH}{query}", headers=connected.headers)
        assert (refused.status_code, refused.json()["code"]) == (404, code)


async def test_it_comes_sheet_by_sheet_with_the_columns_of_the_first(
    connected: Connected, fake: CustomShop, others: tuple[CustomShop, CustomShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(connected, fake, 5)
    monkeypatch.setattr(reporting, "SHEET_PRODUCTS", 2)
    assert [row["sku"] for row in await report(connected)] == [f"SCARF-{number}" for number in range(1, 6)]
    asked = "query($after: String) { listingReportSheet(after: $after) { csv next } }"

    async def sheet(after: str | None) -> dict[str, str]:
        body = {"query": asked, "variables": {"after": after}}
        answer = await connected.client.post("/graphql", json=body, headers=connected.headers)
        told: dict[str, str] = answer.json()["data"]["listingReportSheet"]
        return told

    first = await sheet(None)
    await connected.connect(platform=others[0].settings)
    following = await sheet(first["next"])
    widths = {len(row) for part in (first, following) for row in csv.reader(io.StringIO(part["csv"]))}
    assert len(widths) == 1, "a connection that was made meanwhile moves no column"
    assert len(following["csv"].splitlines()) == 2
    deleted = await connected.client.delete(f"/v1/connections/{connected.id}", headers=connected.headers)
    assert deleted.status_code == 204
    (one, _) = csv.reader(io.StringIO((await sheet(first["next"]))["csv"]))
    assert (len(one), set(one[8:])) == (widths.pop(), {""})


async def test_nobody_sees_what_is_not_theirs(
    connected: Connected, fake: CustomShop, client: Client, merchant: Caller
) -> None:
    await imported(connected, fake, 1)
    stranger = replace(connected.caller, organization_id=new_id(), id=new_id())
    theirs = await client.get(PATH, headers=client.speaking_as(stranger))
    assert (theirs.status_code, "SCARF" in theirs.text, "Quay" in theirs.text) == (200, False, False)
    foreign = await client.get(f"{PATH}?connection_id={connected.id}", headers=client.speaking_as(stranger))
    assert (foreign.status_code, foreign.json()["code"]) == (404, "connection_not_found")
    confined = replace(connected.caller, shop_ids=frozenset({new_id()}), id=new_id())
    for query, status in (("", 200), ("?shop=main", 404), (f"?connection_id={connected.id}", 404)):
        answer = await client.get(f"{PATH}{query}", headers=client.speaking_as(confined))
        assert (answer.status_code, "SCARF" in answer.text) == (status, False), answer.text
    unable = replace(connected.caller, scopes=frozenset({"catalog:read"}), id=new_id())
    refused = await client.get(PATH, headers=client.speaking_as(unable))
    assert refused.status_code == 403
