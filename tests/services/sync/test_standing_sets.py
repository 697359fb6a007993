"""Products and orders by how they stand on connections, through both doors, fresh whatever changes them (SYN-13)."""

import csv
import io
from typing import Any

import pytest
from msgspec.structs import replace

from deploy import topology
from services.sync.repository.standings import TELL
from services.sync.use_cases import reporting, telling
from shared.bus.envelope import service_envelope
from shared.contracts.sync.events import ListingsChanged
from shared.identifiers import new_id
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import order, product
from tests.services.sync.test_creating import configure, sell
from tests.services.sync.test_orders_and_stock import STATUSES

pytestmark = pytest.mark.feature("SYN-13")


async def asked(connected: Connected, path: str, sets: tuple[str, ...], **other: Any) -> Any:
    headers = other.pop("headers", connected.headers)
    answer = await connected.client.get(f"/v1/{path}", params={"set": list(sets)} | other, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finds(connected: Connected, titles: set[str], *sets: str, **other: Any) -> None:
    """Wait until just these are found, and counted so."""

    async def look() -> bool:
        found = {each["title"] for each in (await asked(connected, "products", sets, **other))["items"]}
        assert found == titles, (sets, found)
        assert await asked(connected, "product-sets/count", sets, **other) == {"total": len(titles)}
        return True

    await eventually(look)


async def suggested(connected: Connected, typed: str, path: str = "product-sets", **other: Any) -> dict[str, Any]:
    answer = await asked(connected, path, other.pop("sets", ()), typed=typed, **other)
    return {each["set"]: (each["count"], each["label"]) for each in answer["sets"]}


@pytest.fixture
async def listed(connected: Connected, fake: CustomShop) -> Connected:
    """Three scarves of the platform, of which one is paused, one in no category, and one has an issue."""
    fake.put_product(*product(1, categories=[["Winter", "Scarves"], ["New"]]))
    fake.put_product(*product(2, categories=[["Winter", "Scarves"]], status="paused"))
    external_id, fields, variants = product(3, categories=[])
    variants["30"]["price"] = {"amount": 100, "currency": "USD"}
    fake.put_product(external_id, fields, variants)
    await connected.confirm_matches()
    await connected.run("import_products")
    return connected


async def test_products_by_how_they_stand(listed: Connected) -> None:
    await listed.post("/v1/products", {"title": "Ours alone", "variants": [{"sku": "OURS"}]}, status=201)
    first, second, third = (f"Scarf {number}" for number in (1, 2, 3))
    for place in ("custom", str(listed.id)):
        for name, titles in {
            f"on:{place}": {first, second, third},
            f"published:{place}": {first, third},
            f"unpublished:{place}": {second},
            f"in_category:{place}": {first, second},
            f"without_category:{place}": {third},
            f"category:{place}:Winter > Scarves": {first, second},
            f"category:{place}:new": {first},
            f"category:{place}:Winter": set(),
            f"issues:{place}": {third},
            f"pending_update:{place}": set(),
            f"pending_create:{place}": set(),
        }.items():
            await finds(listed, titles, name)
    await finds(listed, {first}, "on:custom", "published:custom", "in_category:custom")
    await finds(listed, {third}, "with:issues")
    await finds(listed, {"Ours alone", first, second}, "without:issues")
    await finds(listed, {first, second}, "on:custom", "without:issues")
    await finds(listed, set(), "on:shopify")
    await finds(listed, set(), f"on:{new_id()}")
    query = '{products(sets: ["on:custom", "unpublished:custom"]) {nodes {title}}'
    query += ' productSets(typed: "in winter") {sets {set count label}}}'
    answer = await listed.client.post("/graphql", json={"query": query}, headers=listed.headers)
    told = answer.json()["data"]
    assert told["products"] == {"nodes": [{"title": second}]}
    assert {
        "set": "category:custom:Winter > Scarves",
        "count": 2,
        "label": "In Winter > Scarves on Custom HTTP protocol",
    } in (told["productSets"]["sets"])


async def test_sets_are_suggested_by_what_platforms_and_connections_are_called(listed: Connected) -> None:
    await finds(listed, {"Scarf 2"}, "unpublished:custom")
    assert await suggested(listed, "on:") == {
        "on:custom": (3, "On Custom HTTP protocol"),
        f"on:{listed.id}": (3, "On Quay"),
    }
    assert (await suggested(listed, "quay"))[f"unpublished:{listed.id}"] == (1, "Unpublished on Quay")
    assert await suggested(listed, "unpublished on c") == {
        "unpublished:custom": (1, "Unpublished on Custom HTTP protocol")
    }
    assert await suggested(listed, "with:iss") == {"with:issues": (1, "With issues")}
    assert await suggested(listed, "without:iss", sets=("on:custom",)) == {"without:issues": (2, "Without issues")}
    assert await suggested(listed, "sker") == {"brand:Skerry": (3, "Brand: Skerry")}


async def test_what_waits_is_found_until_it_is_decided(listed: Connected, fake: CustomShop) -> None:
    """A change here, a new product, an issue that is dismissed, something that goes over there."""
    await finds(listed, {"Scarf 3"}, "with:issues")
    rule = {"title": {"policy": "ours"}, "status": {"policy": "review"}}
    await configure(listed, fields=rule, create_products=True)
    products = await listed.products()
    await listed.client.patch(
        f"/v1/products/{products['scarf-1']['id']}", json={"title": "Shawl"}, headers=listed.headers
    )
    await sell(listed)
    await listed.heard_all()
    await listed.run("export_products")
    await finds(listed, {"Shawl"}, "pending_update:custom")
    await finds(listed, {"Mitten"}, f"pending_create:{listed.id}")
    waiting = await listed.changes(direction="out", state="queued")
    await listed.post("/v1/changes/cancel", {"change_ids": [change["id"] for change in waiting]})
    await finds(listed, set(), "pending_update:custom")
    await finds(listed, set(), "pending_create:custom")
    body = {"feed": "import_products", "code": "other_currency", "reason": "known"}
    await listed.post("/v1/issue-patterns/dismiss", {"connection_id": listed.id, **body})
    await finds(listed, set(), "with:issues")
    # What a person has not approved is so over there all the same.
    fake.put_product(*product(3, status="paused", categories=[["New"]]))
    await listed.run("update_products")
    await finds(listed, {"Scarf 2", "Scarf 3"}, "unpublished:custom")
    await finds(listed, set(), "without_category:custom")


async def test_orders_by_how_they_stand(listed: Connected, fake: CustomShop) -> None:
    await configure(listed, order_statuses=STATUSES)
    fake.put_stock("SCARF-1", "main", 10)
    for number in (1, 2):
        fake.put_order(order(number))
    done = await listed.run("import_orders")
    assert done["state"] == "succeeded", (done, await listed.issues())

    async def on_it(total: int, *sets: str) -> None:
        async def look() -> bool:
            assert len((await asked(listed, "orders", sets))["items"]) == total, sets
            assert (await asked(listed, "orders/counts", sets))["total"] == total, sets
            highest = await asked(listed, "orders", sets, sort="highest_total")
            assert len(highest["items"]) == total, sets
            return True

        await eventually(look)

    await on_it(2, "on:custom")
    await on_it(2, f"on:{listed.id}", "2026-11")
    await on_it(0, "on:custom", "2026-10")
    await on_it(0, "on:shopify")
    await on_it(0, "pending_update:custom")
    await on_it(2, "without:issues", "on:custom")
    query = '{orders(sets: ["on:custom"], query: "lovelace") {nodes {number}}}'
    answer = await listed.client.post("/graphql", json={"query": query}, headers=listed.headers)
    assert len(answer.json()["data"]["orders"]["nodes"]) == 2
    begun = await listed.post("/v1/orders/exports", {"sets": ["on:custom", "2026-11"]}, status=202)

    async def file() -> list[str] | None:
        path = f"/v1/orders/exports/{begun['id']}/file"
        answer = await listed.client.get(path, headers=listed.headers)
        return sorted(row["sku"] for row in csv.DictReader(io.StringIO(answer.text))) if answer.is_success else None

    assert await eventually(file) == ["SCARF-1", "SCARF-1"]
    assert await suggested(listed, "on", "order-sets") == {
        "on:custom": (2, "On Custom HTTP protocol"),
        f"on:{listed.id}": (2, "On Quay"),
    }
    within = await suggested(listed, "without", "order-sets", sets=("2026-11", "on:custom"))
    assert within == {"without:issues": (2, "Without issues")}
    assert await suggested(listed, "2026-1", "order-sets", sets=("on:custom",)) == {"2026-11": (2, "2026-11")}
    assert await suggested(listed, "", "order-sets", sets=("2026-10",)) == {}
    refused = await listed.client.get("/v1/orders", params={"set": "published:custom"}, headers=listed.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


async def test_nobody_sees_connections_that_are_not_theirs(listed: Connected) -> None:
    every = {f"Scarf {number}" for number in (1, 2, 3)}
    await finds(listed, every, "on:custom")
    stranger = listed.client.speaking_as(replace(listed.caller, organization_id=new_id(), id=new_id()))
    await finds(listed, set(), "on:custom", headers=stranger)
    assert await suggested(listed, "custom", headers=stranger) == {}
    inside = replace(listed.caller, shop_ids=frozenset({listed.shop.id}), id=new_id())
    outside = replace(listed.caller, shop_ids=frozenset({new_id()}), id=new_id())
    for caller, titles in ((inside, every), (outside, set())):
        headers = listed.client.speaking_as(caller)
        for name in ("on:custom", f"on:{listed.id}"):
            await finds(listed, titles, name, headers=headers)
        await finds(listed, {"Scarf 3"} & titles, "with:issues", headers=headers)
        await finds(listed, every - ({"Scarf 3"} & titles), "without:issues", headers=headers)
        labels = {f"on:{listed.id}": (3, "On Quay")} if titles else {}
        assert await suggested(listed, "on:", headers=headers) == labels


@pytest.mark.feature("SYN-15")
async def test_the_report_has_what_is_found(listed: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "SHEET_PRODUCTS", 1)
    await finds(listed, {"Scarf 1", "Scarf 2"}, "in_category:custom")
    for query, skus in (
        ("", ["SCARF-1", "SCARF-2", "SCARF-3"]),
        ("?set=in_category:custom", ["SCARF-1", "SCARF-2"]),
        (f"?set=in_category:{listed.id}&set=published:custom&q=scarf", ["SCARF-1"]),
        ("?q=3", ["SCARF-3"]),
        ("?set=on:shopify", []),
    ):
        answer = await listed.client.get(f"/v1/listing-report{query}", headers=listed.headers)
        assert answer.status_code == 200, answer.text
        assert [row["sku"] for row in csv.DictReader(io.StringIO(answer.text))] == skus, query
    asked_for = '{listingReportSheet(sets: ["with:issues"]) {csv next}}'
    answer = await listed.client.post("/graphql", json={"query": asked_for}, headers=listed.headers)
    told = answer.json()["data"]["listingReportSheet"]
    assert ("SCARF-3" in told["csv"], "SCARF-1" in told["csv"]) == (True, False)
    refused = await listed.client.get("/v1/listing-report?set=x:y", headers=listed.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


async def test_a_rebuild_finds_them_again(listed: Connected, process: topology.Surrounded) -> None:
    """And what was touched by whoever did not tell is told by the clock."""
    await finds(listed, {"Scarf 2"}, "unpublished:custom")
    uow = process.surroundings.unit_of_work("search", service_envelope("search", listed.organization_id))
    await uow.execute("DELETE FROM operator_documents WHERE kind = 'product'")
    await uow.execute("UPDATE operator_indexes SET generation = generation + 1")
    await uow.commit()
    await finds(listed, set(), "on:custom")
    begun = await listed.client.post("/v1/operator-index/rebuild", json={"kind": "product"}, headers=listed.headers)
    assert begun.status_code == 202
    await finds(listed, {"Scarf 2"}, "unpublished:custom")
    await finds(listed, {"Scarf 3"}, f"without_category:{listed.id}", "with:issues")
    uow = process.surroundings.unit_of_work("sync", service_envelope("sync", listed.organization_id))
    await uow.execute("UPDATE issues SET resolved_at = now() WHERE resolved_at IS NULL")
    await uow.commit()
    await finds(listed, set(), "with:issues")


async def test_with_a_connection_go_its_sets(listed: Connected) -> None:
    await finds(listed, {"Scarf 3"}, "with:issues")
    await listed.heard_all()
    deleted = await listed.client.delete(f"/v1/connections/{listed.id}", headers=listed.headers)
    assert deleted.status_code == 204, deleted.text
    for name in ("on:custom", f"on:{listed.id}", "with:issues", "category:custom:New"):
        await finds(listed, set(), name)
    assert await suggested(listed, "on:") == {}
    assert set(await listed.products()) == {"scarf-1", "scarf-2", "scarf-3"}


async def test_what_was_touched_is_told_once_and_in_sets(
    process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id, ids = new_id(), [new_id() for _ in range(2500)]
    uow = process.surroundings.unit_of_work("sync", service_envelope("sync", organization_id))
    try:
        note = "INSERT INTO touched (organization_id, kind, record_id) SELECT $1, $2, * FROM unnest($3::uuid[])"
        await uow.execute(note, organization_id, "product", ids + ids)
        await uow.execute(note, organization_id, "order", ids[:1])
        monkeypatch.setattr(telling, "_AT_ONCE", 4000)
        await telling.tell_touched(uow)
        products = [event.product_ids for _, event in uow._events if isinstance(event, ListingsChanged)]
        assert [len(each) for each in products] == [1000, 1000, 500]
        assert set().union(*products) == set(ids)
        assert [task.kind for task in uow._tasks] == [TELL], "the rest is told by a task of its own"
        await telling.tell_touched(uow)
        orders = [event.order_ids for _, event in uow._events if isinstance(event, ListingsChanged)]
        assert orders[-1] == ids[:1]
        assert await uow.fetchval("SELECT count(*) FROM touched") == 0
    finally:
        await uow.rollback()


async def test_what_changes_of_a_listing_is_touched_and_nothing_else(listed: Connected) -> None:
    """Each statement by itself, in a transaction that is undone."""
    await listed.heard_all()
    uow = listed.process.surroundings.unit_of_work("sync", service_envelope("sync", listed.organization_id))
    other = new_id()
    try:
        rows = await uow.fetch("SELECT id, product_id FROM listings WHERE entity = 'product' ORDER BY id")
        await uow.execute("DELETE FROM touched")
        id_, product_id = rows[0]
        for statement, touched in (
            ("UPDATE listings SET marks = marks + 1", set()),
            ("UPDATE listings SET product_id = product_id, digest = digest", set()),
            (f"UPDATE listings SET gone_at = now() WHERE id = '{id_}'", {product_id}),
            (
                f"UPDATE listings SET acknowledged = acknowledged || '{{\"status\": 1}}' WHERE id = '{id_}'",
                {product_id},
            ),
            (f"UPDATE listings SET product_id = '{other}' WHERE id = '{id_}'", {product_id, other}),
            (f"UPDATE changes SET state = state WHERE listing_id = '{id_}'", set()),
            ("UPDATE listings SET gone_at = now() WHERE entity = 'variant'", {row["product_id"] for row in rows}),
            (f"DELETE FROM listings WHERE id = '{id_}'", {other}),
        ):
            await uow.execute(statement)
            found = await uow.fetch("DELETE FROM touched RETURNING kind, record_id")
            assert {tuple(row) for row in found} == {("product", each) for each in touched}, statement
    finally:
        await uow.rollback()


async def test_sets_that_there_are_not_are_refused(connected: Connected) -> None:
    places = ("on:nowhere", "on:", "issues:", "category:custom", "category:custom: ", "category:moon:x", "on:custom:x")
    for wrong in places:
        for path in ("products", "product-sets/count", "orders"):
            refused = await connected.client.get(f"/v1/{path}", params={"set": wrong}, headers=connected.headers)
            assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), (path, wrong)
