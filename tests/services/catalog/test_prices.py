"""Price lists, prices and what they come from, through both doors."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from deploy import topology
from gateway.rest import prices as routes
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.catalog.messages import GetOfferParts, ListProductIds, PriceLine, PriceLines
from shared.identifiers import new_id
from shared.settings import Settings
from tests.conftest import scale
from tests.doors import Client, caller_of
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.services.catalog.test_doors import Shopkeeper

pytestmark = pytest.mark.feature("CAT-3")


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    """An administrator with the shop `main` and the SKUs A and B at 10.00 and 20.00 dollars."""
    catalog = Catalog(process)
    keeper = Shopkeeper(client, catalog, caller_of(catalog.organization_id))
    await catalog.open_shop()
    await catalog.bring_in(csv_file([shopify_row("a", price="10.00"), shopify_row("b", price="20.00")]))
    return keeper


async def standard(keeper: Shopkeeper, shop: str = "main") -> str:
    return (await keeper.ask("GET", f"price-lists?shop={shop}", 200))["items"][0]["id"]


async def a_list(keeper: Shopkeeper, name: str, **draft: Any) -> Any:
    return await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": name, **draft})


async def put(keeper: Shopkeeper, list_id: str, *prices: dict[str, Any], status: int = 200) -> Any:
    return await keeper.ask("PUT", "prices", status, json={"price_list_id": list_id, "prices": list(prices)})


async def bulk(keeper: Shopkeeper, rows: Sequence[Any], status: int = 200, on_error: str = "abort", **what: Any) -> Any:
    body = b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in rows)
    return await keeper.ask("POST", f"prices/bulk?on_error={on_error}", status, content=body, **what)


async def resolved(keeper: Shopkeeper, sku: str = "A", status: int = 200, **asked: Any) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"shop": "main", "sku": sku, **asked}.items())
    return await keeper.ask("GET", f"prices/resolve?{query}", status)


async def announced(keeper: Shopkeeper) -> int:
    return len(await keeper.catalog.events("prices_changed"))


async def shop_id(keeper: Shopkeeper, code: str = "main") -> UUID:
    return (await keeper.catalog.rows("SELECT id FROM shops WHERE code = $1", code))[0]["id"]


async def turns(keeper: Shopkeeper) -> list[datetime]:
    rows = await keeper.catalog.rows("SELECT due_at FROM tasks WHERE kind = 'price_list_turns' ORDER BY due_at")
    return [row["due_at"] for row in rows]


async def turn(keeper: Shopkeeper, list_id: str, at: datetime) -> list[Any]:
    """The events of a turn that has come."""
    before = await announced(keeper)
    with clock.replaced(lambda: at):
        await keeper.catalog.perform("price_list_turns", {"price_list_id": list_id, "at": at.isoformat()})
    return (await keeper.catalog.events("prices_changed"))[before:]


# --- lists


@pytest.mark.feature("GAT-1")
async def test_a_list_is_changed_and_deleted_by_who_read_it_last(keeper: Shopkeeper) -> None:
    sale = await a_list(keeper, "Sale")
    path = f"price-lists/{sale['id']}"
    assert (keeper.headers["location"], keeper.headers["etag"]) == (f"/v1/{path}", '"1"')
    assert await keeper.ask("GET", path, 200) == sale
    changed = await keeper.ask("PATCH", path, 200, json={"name": "Spring"}, headers={"If-Match": '"1"'})
    assert (changed, keeper.headers["etag"]) == ({**sale, "name": "Spring", "version": 2}, '"2"')
    stale = {"headers": {"If-Match": '"1"'}}
    assert await keeper.code("PATCH", path, 412, json={"name": "X"}, **stale) == "price_list_changed_since"
    assert await keeper.code("DELETE", path, 412, **stale) == "price_list_changed_since"
    assert (await keeper.ask("PATCH", path, 200, json={"name": "Spring"}))["version"] == 2
    answers = await asyncio.gather(
        *(
            keeper.client.patch(
                f"/v1/{path}",
                json={"name": name},
                headers={**keeper.client.speaking_as(keeper.caller), "If-Match": '"2"'},
            )
            for name in ("One", "Two", "Three")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    headers = {**keeper.client.speaking_as(keeper.caller), "If-Match": '"3"'}
    assert (await keeper.client.delete(f"/v1/{path}", headers=headers)).status_code == 204
    assert await keeper.code("GET", path, 404) == "price_list_not_found"
    assert await keeper.code("DELETE", path, 404) == "price_list_not_found"
    trail = await keeper.catalog.rows("SELECT action FROM audit_entries WHERE subject_id = $1 ORDER BY id", sale["id"])
    assert [row["action"].rpartition(".")[2] for row in trail] == ["create", "change", "change", "delete"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "validation_failed"),
        ({"name": " "}, "validation_failed"),
        ({"currency": "EUR"}, "validation_failed"),
        ({"shop": "other"}, "validation_failed"),
        ({"customer_group": ""}, "validation_failed"),
        ({"starts_at": "2030-01-01T00:00:00"}, "validation_failed"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "validation_failed"),
        ({"ends_at": "9999-12-31T23:59:59-14:00"}, "validation_failed"),
        ({"ends_at": "2029-12-31T00:00:00Z"}, "ends_before_it_starts"),
        ({"starts_at": "2031-01-01T00:00:00Z"}, "ends_before_it_starts"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(keeper: Shopkeeper, change: dict[str, Any], code: str) -> None:
    dates = {"starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-02-01T00:00:00Z"}
    sale = await a_list(keeper, "Sale", **dates)
    assert await keeper.code("PATCH", f"price-lists/{sale['id']}", 422, json=change) == code
    assert await keeper.ask("GET", f"price-lists/{sale['id']}", 200) == sale


async def test_a_list_whose_dates_move_turns_at_the_new_ones_alone(keeper: Shopkeeper) -> None:
    first = clock.now() + timedelta(days=1)
    sale = await a_list(keeper, "Sale", starts_at=first.isoformat())
    await put(keeper, sale["id"], {"sku": "A", "price": usd(700)})
    later = first + timedelta(days=1)
    before = await announced(keeper)
    moved = {"starts_at": later.isoformat(), "ends_at": (later + timedelta(days=1)).isoformat()}
    await keeper.ask("PATCH", f"price-lists/{sale['id']}", 200, json=moved)
    assert await announced(keeper) == before + 1, "what applies now may be different at once"
    assert await turns(keeper) == [first, later, later + timedelta(days=1)]
    assert await turn(keeper, sale["id"], first) == [], "the list does not begin any more at its old date"
    assert len(await turn(keeper, sale["id"], later)) == 1
    assert len(await turn(keeper, sale["id"], later + timedelta(days=1))) == 1
    await keeper.ask("PATCH", f"price-lists/{sale['id']}", 200, json=moved)
    assert len(await turns(keeper)) == 3, "the same dates again plan nothing twice"
    renamed = await announced(keeper)
    await keeper.ask("PATCH", f"price-lists/{sale['id']}", 200, json={"name": "Other"})
    assert await announced(keeper) == renamed, "a name concerns nobody's prices"


async def test_a_deleted_lists_prices_go_with_it_and_are_announced(keeper: Shopkeeper) -> None:
    sale = await a_list(keeper, "Sale", starts_at=(clock.now() - timedelta(days=1)).isoformat())
    ends = clock.now() + timedelta(days=1)
    await put(keeper, sale["id"], {"sku": "A", "price": usd(700), "ends_at": ends.isoformat()})
    assert (await resolved(keeper))["price"] == usd(700)
    before = await announced(keeper)
    headers = keeper.client.speaking_as(keeper.caller)
    assert (await keeper.client.delete(f"/v1/price-lists/{sale['id']}", headers=headers)).status_code == 204
    events = (await keeper.catalog.events("prices_changed"))[before:]
    product = (await keeper.ask("GET", "products?sku=A", 200))["items"][0]
    assert [event["product_ids"] for event in events] == [[product["id"]]]
    left = await keeper.catalog.rows("SELECT count(*) FROM prices WHERE price_list_id = $1", UUID(sale["id"]))
    assert left[0][0] == 0
    assert (await resolved(keeper))["price"] == usd(1000)
    assert await turn(keeper, sale["id"], ends) == [], "its turns find nothing"
    assert await keeper.code(
        "PUT", "prices", 404, json={"price_list_id": sale["id"], "prices": [{"sku": "A", "price": None}]}
    ) == ("price_list_not_found")


async def test_the_database_itself_keeps_prices_and_lists_together(keeper: Shopkeeper) -> None:
    """Whoever writes past the use cases is held to it as well."""
    organization_id = keeper.catalog.organization_id

    async def attempt(sql: str, *arguments: Any) -> int:
        uow = keeper.catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
        try:
            await uow.execute(sql, *arguments)
            return int(await uow.fetchval("SELECT count(*) FROM prices"))
        finally:
            await uow.rollback()

    insert = (
        "INSERT INTO prices (organization_id, price_list_id, variant_id, minimum_quantity, price)"
        " SELECT organization_id, $1, id, 7, 5 FROM variants"
    )
    assert await attempt(insert, UUID(await standard(keeper))) == 4
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await attempt(insert, uuid4())
    assert await attempt("DELETE FROM price_lists WHERE id = $1", UUID(await standard(keeper))) == 0


# --- single prices


async def test_a_price_has_dates_a_centre_or_is_told_on_request(keeper: Shopkeeper) -> None:
    await keeper.ask("POST", "fulfilment-centres", 201, json={"code": "north", "name": "North", "kind": "supplier"})
    list_id, now = await standard(keeper), clock.now().replace(microsecond=0)
    starts, ends = now + timedelta(days=1), now + timedelta(days=2)
    dated = {"sku": "A", "price": usd(700), "starts_at": starts.isoformat(), "ends_at": ends.isoformat()}
    tagged = {"sku": "A", "price": usd(900), "centre": "north"}
    asked = {"sku": "A", "minimum_quantity": 100, "price": None, "on_request": True}
    done = await put(keeper, list_id, dated, tagged, asked)
    assert done == {"inserted": 3, "updated": 0, "removed": 0, "unchanged": 0}
    assert (await put(keeper, list_id, dated, tagged, asked))["unchanged"] == 3
    assert [(await resolved(keeper, at=at.strftime("%Y-%m-%dT%H:%M:%SZ")))["price"] for at in (now, starts, ends)] == [
        usd(1000),
        usd(700),
        usd(1000),
    ]
    assert (await resolved(keeper, centre="north"))["price"] == usd(900)
    on_request = await resolved(keeper, quantity=100)
    assert (on_request["price"], on_request["on_request"]) == (None, True)
    seen, after = [], ""
    while after is not None:
        page = await keeper.ask(
            "GET", f"prices?price_list_id={list_id}&sku=A&first=1{after and f'&after={after}'}", 200
        )
        seen += [(p["minimum_quantity"], p["centre"], p["starts_at"], p["on_request"]) for p in page["items"]]
        after = page["next"]
    assert [each[:2] for each in seen] == [(1, None), (1, None), (1, "north"), (100, None)]
    assert [each[2] is None for each in seen] == [True, False, True, True]
    gone = {"sku": "A", "price": None, "starts_at": starts.isoformat()}
    assert (await put(keeper, list_id, gone))["removed"] == 1
    assert (await resolved(keeper, at=starts.strftime("%Y-%m-%dT%H:%M:%SZ")))["price"] == usd(1000)


@pytest.mark.feature("CAT-15")
async def test_each_of_several_prices_for_one_quantity_has_its_own_history(keeper: Shopkeeper) -> None:
    await keeper.ask("POST", "fulfilment-centres", 201, json={"code": "north", "name": "North"})
    list_id = await standard(keeper)
    for amount in (900, 800):
        await put(keeper, list_id, {"sku": "A", "price": usd(amount), "centre": "north"})
        await put(keeper, list_id, {"sku": "A", "price": usd(amount + 50), "starts_at": "2030-01-01T00:00:00Z"})
    product = (await keeper.ask("GET", "products?sku=A", 200))["items"][0]
    told = (await keeper.ask("GET", f"products/{product['id']}/history?field=price", 200))["items"]
    changed = [(e["key"], e["fields"][0]["before"], e["fields"][0]["after"]) for e in told if e["what"] == "changed"]
    place = {"price_list_id": list_id, "minimum_quantity": 1}
    assert changed == [
        ({**place, "starts_at": "2030-01-01T00:00:00+00:00"}, 950, 850),
        ({**place, "centre": "north"}, 900, 800),
    ]
    begun = [e["key"] for e in told if e["what"] == "created"]
    assert sorted(map(str, begun)) == sorted(map(str, [place, *(key for key, _, _ in changed)]))


async def test_prices_with_dates_turn_one_after_the_other(keeper: Shopkeeper) -> None:
    list_id, now = await standard(keeper), clock.now()
    first, second, third = (now + timedelta(days=days) for days in (1, 2, 3))
    await put(
        keeper, list_id, {"sku": "A", "price": usd(1), "starts_at": first.isoformat(), "ends_at": third.isoformat()}
    )
    await put(keeper, list_id, {"sku": "B", "price": usd(1), "starts_at": second.isoformat()})
    ids = {p["slug"]: p["id"] for p in (await keeper.ask("GET", "products", 200))["items"]}
    assert await turns(keeper) == [first], "the next one alone is planned"
    assert [event["product_ids"] for event in await turn(keeper, list_id, first)] == [[ids["a"]]]
    assert second in await turns(keeper)
    assert [event["product_ids"] for event in await turn(keeper, list_id, second)] == [[ids["b"]]]
    assert [event["product_ids"] for event in await turn(keeper, list_id, third)] == [[ids["a"]]]
    assert await turn(keeper, list_id, third + timedelta(days=1)) == []


async def test_turns_that_come_late_are_made_up_for(keeper: Shopkeeper) -> None:
    """No worker ran for some days: whatever turned meanwhile is announced, one after the other, at once."""
    list_id, now = await standard(keeper), clock.now()
    first, second = now + timedelta(days=1), now + timedelta(days=2)
    for at, sku in ((first, "A"), (second, "B")):
        await put(keeper, list_id, {"sku": sku, "price": usd(1), "starts_at": at.isoformat()})
    assert await turns(keeper) == [first]
    with clock.replaced(lambda: now + timedelta(days=9)):
        await keeper.catalog.perform("price_list_turns", {"price_list_id": list_id, "at": first.isoformat()})
    assert second in await turns(keeper)


@pytest.mark.parametrize(
    ("price", "code"),
    [
        ({"price": usd(-1)}, "invalid_price"),
        ({"price": usd(10**16)}, "invalid_price"),
        ({"price": usd(1), "list_price": usd(-1)}, "invalid_price"),
        ({"price": usd(1), "on_request": True}, "contradictory_price"),
        ({"price": None, "list_price": usd(1)}, "contradictory_price"),
        ({"price": usd(1), "centre": "nowhere"}, "centre_not_found"),
        ({"price": {"amount": 1, "currency": "EUR"}}, "currency_mismatch"),
        (
            {"price": usd(1), "starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-02T00:00:00Z"},
            "ends_before_it_starts",
        ),
        ({"price": {"amount": 1, "currency": "XXX"}}, "validation_failed"),
        ({"price": {"amount": True, "currency": "USD"}}, "validation_failed"),
        ({"price": {"amount": "1", "currency": "USD"}}, "validation_failed"),
        ({"price": {"amount": 1.0, "currency": "USD"}}, "validation_failed"),
        ({"price": {"amount": 10**30, "currency": "USD"}}, "invalid_price"),
        ({"price": usd(1), "minimum_quantity": 0}, "validation_failed"),
        ({"price": usd(1), "minimum_quantity": True}, "validation_failed"),
        ({}, "validation_failed"),
    ],
)
async def test_a_price_that_cannot_be_is_refused(keeper: Shopkeeper, price: dict[str, Any], code: str) -> None:
    body = {"price_list_id": await standard(keeper), "prices": [{"sku": "A", **price}]}
    refusal = await keeper.ask("PUT", "prices", 422, json=body)
    told = refusal["errors"][0]["code"] if refusal["code"] == "prices_refused" else refusal["code"]
    assert told == code
    assert (await resolved(keeper))["price"] == usd(1000)


# --- what others are told


@pytest.mark.feature("ACC-3", "SEA-2")
async def test_prices_of_customer_groups_are_in_nobodys_offers(keeper: Shopkeeper) -> None:
    friends = await a_list(keeper, "Friends", customer_group="friends")
    await put(
        keeper, friends["id"], {"sku": "A", "price": usd(100)}, {"sku": "B", "minimum_quantity": 5, "price": usd(1)}
    )
    shop, catalog = await shop_id(keeper), keeper.catalog
    ids = (await catalog.ask(ListProductIds(), as_service="search")).ids
    parts = await catalog.ask(GetOfferParts(shop_id=shop, product_ids=ids), as_service="search")
    shown = {v.sku: [(t.minimum_quantity, t.price.amount) for t in v.tiers] for p in parts.products for v in p.variants}
    assert shown == {"A": [(1, 1000)], "B": [(1, 2000)]}
    prices = {}
    for group in (None, "friends", "Friends", "others"):
        lines = [PriceLine(sku="A", quantity=1), PriceLine(sku="B", quantity=5)]
        answer = await catalog.ask(PriceLines(shop_id=shop, lines=lines, customer_group=group), as_service="orders")
        prices[group] = [line.unit_price.amount for line in answer.lines]
    assert prices == {None: [1000, 2000], "friends": [100, 1], "Friends": [1000, 2000], "others": [1000, 2000]}


async def test_lines_are_priced_by_the_centre_that_serves(keeper: Shopkeeper) -> None:
    await keeper.ask("POST", "fulfilment-centres", 201, json={"code": "north", "name": "North"})
    await put(keeper, await standard(keeper), {"sku": "A", "price": usd(900), "centre": "north"})
    shop, catalog = await shop_id(keeper), keeper.catalog
    prices = []
    for centre in (None, "north", "south"):
        asked = PriceLines(shop_id=shop, lines=[PriceLine(sku="A", quantity=1)], centre=centre)
        prices.append((await catalog.ask(asked, as_service="orders")).lines[0].unit_price.amount)
    assert prices == [1000, 900, 1000]


@pytest.mark.feature("ACC-3")
async def test_a_shop_asks_for_a_price_that_its_parent_tells(keeper: Shopkeeper) -> None:
    sub = await keeper.catalog.open_shop(code="sub", parent_id=await shop_id(keeper))
    own = (await keeper.ask("POST", "price-lists", 201, json={"shop": "sub", "name": "Own"}))["id"]
    await put(keeper, own, {"sku": "A", "price": None, "on_request": True})
    asked = PriceLines(shop_id=sub.id, lines=[PriceLine(sku="A", quantity=1), PriceLine(sku="B", quantity=1)])
    lines = (await keeper.catalog.ask(asked, as_service="orders")).lines
    assert [(line.reason, line.unit_price and line.unit_price.amount) for line in lines] == [
        ("price_on_request", None),
        (None, 2000),
    ]
    ids = (await keeper.catalog.ask(ListProductIds(), as_service="search")).ids
    parts = await keeper.catalog.ask(GetOfferParts(shop_id=sub.id, product_ids=ids), as_service="search")
    shown = {v.sku: (v.price_on_request, len(v.tiers)) for p in parts.products for v in p.variants}
    assert shown == {"A": (True, 0), "B": (False, 1)}


# --- what a price comes from


@pytest.mark.feature("ACC-3")
async def test_a_price_is_explained_with_everything_it_was_chosen_before(keeper: Shopkeeper) -> None:
    catalog, now = keeper.catalog, clock.now()
    await keeper.ask("POST", "fulfilment-centres", 201, json={"code": "north", "name": "North"})
    await catalog.open_shop(code="sub", parent_id=await shop_id(keeper))
    await catalog.open_shop(code="strict", parent_id=await shop_id(keeper), strict_pricing=True)
    sub_list = (await keeper.ask("POST", "price-lists", 201, json={"shop": "sub", "name": "Sub"}))["id"]
    await put(keeper, sub_list, {"sku": "A", "minimum_quantity": 10, "price": usd(800), "list_price": usd(1100)})
    await put(keeper, sub_list, {"sku": "A", "minimum_quantity": 50, "price": usd(700)})
    await put(keeper, sub_list, {"sku": "A", "minimum_quantity": 10, "price": usd(790), "centre": "north"})
    for name, draft in {
        "Friends": {"customer_group": "friends"},
        "Soon": {"starts_at": (now + timedelta(days=1)).isoformat()},
        "Over": {"ends_at": (now - timedelta(days=1)).isoformat()},
        "Euro": {"currency": "EUR"},
        "Empty": {},
    }.items():
        made = await keeper.ask("POST", "price-lists", 201, json={"shop": "sub", "name": name, **draft})
        price = {"sku": "A", "price": {"amount": 1, "currency": draft.get("currency", "USD")}}
        if name != "Empty":
            await put(keeper, made["id"], price)
    told = await resolved(keeper, shop="sub", quantity=20)
    assert (told["price"], told["list_price"], told["on_request"]) == (usd(800), usd(1100), False)
    assert (told["source"]["price_list"], told["source"]["shop"], told["source"]["minimum_quantity"]) == (
        "Sub",
        "sub",
        10,
    )
    reasons = {
        (each["price_list"], each["minimum_quantity"], each["centre"]): each["code"] for each in told["passed_over"]
    }
    assert reasons == {
        ("Sub", 50, None): "quantity_not_reached",
        ("Sub", 10, "north"): "other_centre",
        ("Friends", 1, None): "other_customer_group",
        ("Soon", 1, None): "list_not_begun",
        ("Over", 1, None): "list_ended",
        ("Euro", 1, None): "other_currency",
        ("Empty", None, None): "no_price",
        ("Standard", 1, None): "nearer_shop_first",
    }
    assert all(each["message"] and "{" not in each["message"] for each in told["passed_over"])
    assert "'Sub' of the shop 'sub'" in told["message"]
    strict = await resolved(keeper, shop="strict")
    assert (strict["price"], strict["source"]) == (None, None)
    assert [(each["price_list"], each["code"]) for each in strict["passed_over"]] == [("Standard", "strict_pricing")]
    friends = await resolved(keeper, shop="sub", quantity=20, customer_group="friends")
    assert (friends["price"], friends["source"]["customer_group"]) == (usd(1), "friends")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"sku": "NONE"}, 404, "sku_not_found"),
        ({"shop": "none"}, 404, "shop_not_found"),
        ({"quantity": 0}, 422, "validation_failed"),
        ({"quantity": 1.5}, 422, "validation_failed"),
        ({"quantity": 10**30}, 422, "validation_failed"),
        ({"at": "yesterday"}, 422, "validation_failed"),
        ({"at": "2030-01-01T00:00:00"}, 422, "validation_failed"),
        ({"at": "0001-01-01T00:00:00Z"}, 422, "validation_failed"),
        ({"customer_group": ""}, 422, "validation_failed"),
        ({"group": "x"}, 422, "unknown_parameter"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    keeper: Shopkeeper, asked: dict[str, Any], status: int, code: str
) -> None:
    assert (await resolved(keeper, **{"status": status, **asked}))["code"] == code


@pytest.mark.feature("ACC-5")
async def test_who_is_limited_to_a_shop_sees_its_prices_and_no_others(keeper: Shopkeeper) -> None:
    catalog, main = keeper.catalog, await standard(keeper)
    sub = await catalog.open_shop(code="sub", parent_id=await shop_id(keeper))
    secret = await a_list(keeper, "Secret", customer_group="friends")
    await put(keeper, secret["id"], {"sku": "A", "price": usd(1)})
    limited = Shopkeeper(keeper.client, catalog, caller_of(catalog.organization_id, "catalog:write", shop_ids=[sub.id]))
    told = await resolved(limited, shop="sub")
    assert (told["price"], told["passed_over"]) == (usd(1000), [])
    assert (await resolved(limited, status=404))["code"] == "shop_not_found"
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        assert await limited.code(method, f"price-lists/{main}", 404, json=body) == "price_list_not_found"
    rows = [{"price_list": main, "sku": "A", "price": 1}, {"shop": "main", "sku": "B", "price": 1}]
    refusal = await bulk(limited, rows, 422)
    assert [error["code"] for error in refusal["errors"]] == ["price_list_not_found", "shop_not_found"]
    assert (await bulk(limited, [{"shop": "sub", "sku": "A", "price": 950}]))["inserted"] == 1
    assert (await resolved(keeper, shop="sub"))["price"] == usd(950)


@pytest.mark.feature("GAT-2")
async def test_graphql_does_the_same(keeper: Shopkeeper) -> None:
    sale = await a_list(keeper, "Sale")
    change = 'mutation($id: UUID!) { updatePriceList(priceListId: $id, version: 1, change: {customerGroup: "friends"})'
    changed = await keeper.graphql(
        change + " { ... on PriceList { uuid version customerGroup name } } }", id=sale["id"]
    )
    assert changed["updatePriceList"] == {
        "uuid": sale["id"],
        "version": 2,
        "customerGroup": "friends",
        "name": "Sale",
    }
    rows = [{"price_list": sale["id"], "sku": "A", "price": 5}, {"price_list": sale["id"], "sku": "NONE", "price": 5}]
    changing = "mutation($rows: [JSON!]!) { changePrices(rows: $rows, onError: SKIP)"
    done = await keeper.graphql(
        changing + " { ... on PriceRowsChanged { inserted failed errors { row code } } } }", rows=rows
    )
    assert done["changePrices"] == {"inserted": 1, "failed": 1, "errors": [{"row": 2, "code": "unknown_sku"}]}
    asking = '{ resolvePrice(shop: "main", sku: "A", customerGroup: "friends") { price { amount } source { priceList }'
    told = await keeper.graphql(asking + " passedOver { code priceList } } }")
    assert told["resolvePrice"] == {
        "price": {"amount": 5},
        "source": {"priceList": "Sale"},
        "passedOver": [{"code": "CUSTOMER_GROUP_FIRST", "priceList": "Standard"}],
    }
    deleting = "mutation($id: UUID!) { deletePriceList(priceListId: $id, version: 1)"
    refused = await keeper.graphql(deleting + " { ... on Problem { code } } }", id=sale["id"])
    assert refused["deletePriceList"] == {"code": "price_list_changed_since"}
    gone = await keeper.graphql(deleting.replace("1", "2") + " { ... on Done { id } } }", id=sale["id"])
    assert gone["deletePriceList"] == {"id": sale["id"]}


@pytest.mark.feature("GAT-3")
async def test_reading_is_not_writing(keeper: Shopkeeper, merchant: Caller) -> None:
    reader = Shopkeeper(keeper.client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    list_id = await standard(keeper)
    assert (await resolved(reader))["price"] == usd(1000)
    for method, path, what in (
        ("PATCH", f"price-lists/{list_id}", {"json": {"name": "X"}}),
        ("DELETE", f"price-lists/{list_id}", {}),
        ("POST", "prices/bulk", {"content": b'{"shop": "main", "sku": "A", "price": 1}'}),
        ("POST", "prices/bulk", {"content": b" " * routes._MESSAGE_BYTES + b"[1]"}),
    ):
        assert await reader.code(method, path, 403, **what) == "missing_scope"
    stranger = Shopkeeper(keeper.client, keeper.catalog, merchant)
    refusal = await bulk(stranger, [{"price_list": list_id, "sku": "A", "price": 1}], 422)
    assert refusal["errors"][0]["code"] == "price_list_not_found"


# --- very many prices


async def test_rows_of_several_lists_are_set_and_removed_at_once(keeper: Shopkeeper) -> None:
    await keeper.catalog.open_shop(code="euro", currency="EUR")
    sale = await a_list(keeper, "Sale")
    before = await announced(keeper)
    rows = [
        {"shop": "main", "sku": "A", "price": 900, "list_price": usd(1000)},
        {"shop": "main", "sku": "B", "price": None},
        {"shop": "main", "sku": "A", "minimum_quantity": 10, "price": None},
        {"shop": "euro", "sku": "A", "price": {"amount": 850, "currency": "EUR"}},
        {"price_list": sale["id"], "sku": "B", "price": 1500},
        {"price_list": sale["id"], "sku": "B", "minimum_quantity": 10, "on_request": True},
    ]
    done = await bulk(keeper, rows)
    assert done == {
        "rows": 6, "inserted": 3, "updated": 1, "removed": 1, "unchanged": 1, "failed": 0, "errors": [],
    }  # fmt: skip
    assert (await resolved(keeper))["price"] == usd(900)
    assert (await resolved(keeper, "B"))["source"]["price_list"] == "Sale"
    assert (await resolved(keeper, shop="euro"))["price"] == {"amount": 850, "currency": "EUR"}
    assert await announced(keeper) == before + 2, "one event per shop"
    again = await bulk(keeper, rows)
    assert (again["unchanged"], again["inserted"], again["updated"], again["removed"]) == (6, 0, 0, 0)
    assert await announced(keeper) == before + 2, "what is as it was is told to nobody"


BAD_ROWS: list[tuple[Any, str]] = [
    ({"price": -1}, "invalid_price"),
    (b'{"shop": "main", "sku": "A", "price": 1e400}', "malformed_row"),
    (b'{"shop": "main", "sku": "A", "price": NaN}', "malformed_row"),
    ({"price": True}, "invalid_price"),
    ({"price": "1"}, "invalid_price"),
    ({"price": 1.0}, "invalid_price"),
    (b'{"shop": "main", "sku": "A", "price": 1' + b"0" * 30 + b"}", "invalid_price"),
    ({"price": 10**15 + 1}, "invalid_price"),
    ({"price": {"amount": 1}}, "invalid_price"),
    ({"price": {"amount": True, "currency": "USD"}}, "invalid_price"),
    ({"price": {"amount": 1, "currency": "XXX"}}, "unknown_currency"),
    ({"price": {"amount": 1, "currency": "EUR"}}, "currency_mismatch"),
    ({"price": 1, "list_price": -1}, "invalid_list_price"),
    ({"price": 1, "on_request": True}, "contradictory_price"),
    ({"price": None, "list_price": 1}, "contradictory_price"),
    ({}, "missing_price"),
    ({"price": 1, "sku": "NONE"}, "unknown_sku"),
    ({"price": 1, "sku": ""}, "invalid_sku"),
    ({"price": 1, "sku": 7}, "invalid_sku"),
    ({"price": 1, "sku": "A\u0000"}, "invalid_sku"),
    ({"price": 1, "minimum_quantity": 0}, "invalid_minimum_quantity"),
    ({"price": 1, "minimum_quantity": True}, "invalid_minimum_quantity"),
    ({"price": 1, "minimum_quantity": 10**7}, "invalid_minimum_quantity"),
    ({"price": 1, "centre": "nowhere"}, "centre_not_found"),
    ({"price": 1, "starts_at": "soon"}, "invalid_starts_at"),
    ({"price": 1, "ends_at": "0001-01-01T00:00:00+14:00"}, "invalid_ends_at"),
    ({"price": 1, "starts_at": "2030-01-02T00:00Z", "ends_at": "2030-01-01T00:00Z"}, "ends_before_it_starts"),
    ({"price": 1, "shop": "nowhere"}, "shop_not_found"),
    ({"price": 1, "shop": None}, "list_or_shop"),
    ({"price": 1, "price_list": str(uuid4())}, "list_or_shop"),
    ({"price": 1, "shop": None, "price_list": str(uuid4())}, "price_list_not_found"),
    ({"price": 1, "shop": None, "price_list": "standard"}, "invalid_price_list"),
    ({"price": 1, "prize": 2}, "unknown_field"),
    (b"[1]x", "malformed_row"),
    (b"\xff\xfe", "malformed_row"),
    (b'{"shop": "main", "sku": "\\ud800", "price": 1}', "malformed_row"),
    (7, "malformed_row"),
]


async def test_each_bad_row_is_told_by_its_code_and_costs_nobody_but_itself(keeper: Shopkeeper) -> None:
    good = {"shop": "main", "sku": "B", "price": 5}
    bad = [row if isinstance(row, bytes | int) else {"shop": "main", "sku": "A", **row} for row, _ in BAD_ROWS]
    before = await announced(keeper)
    refused = await bulk(keeper, [good, *bad], 422)
    assert (refused["code"], await announced(keeper)) == ("prices_refused", before)
    codes = [code for _, code in BAD_ROWS]
    assert [(e["pointer"], e["code"]) for e in refused["errors"]] == [
        (f"/{number}", code) for number, code in enumerate(codes, 1)
    ]
    assert (await resolved(keeper, "B"))["price"] == usd(2000), "all or nothing"
    done = await bulk(keeper, [good, *bad], on_error="skip")
    assert (done["rows"], done["updated"], done["failed"]) == (len(bad) + 1, 1, len(bad))
    assert [(e["row"], e["code"]) for e in done["errors"]] == list(enumerate(codes, 2))
    assert all(error["message"] for error in done["errors"])
    assert [(await resolved(keeper, sku))["price"] for sku in "AB"] == [usd(1000), usd(5)]


async def test_of_rows_for_the_same_price_none_is_taken(keeper: Shopkeeper) -> None:
    """Whichever came last would be a guess, also when one names the list and the other its shop."""
    rows = [
        {"shop": "main", "sku": "A", "price": 1},
        {"price_list": await standard(keeper), "sku": "A", "price": 2},
        {"shop": "main", "sku": "A", "minimum_quantity": 2, "price": 3},
        {"shop": "main", "sku": "A", "price": None},
    ]
    refused = await bulk(keeper, rows, 422)
    assert [(e["row"], e["code"]) for e in refused["errors"]] == [(row, "duplicate_sku") for row in (1, 2, 4)]
    done = await bulk(keeper, rows, on_error="skip")
    assert (done["inserted"], done["failed"]) == (1, 3)
    assert [(await resolved(keeper, quantity=n))["price"]["amount"] for n in (1, 2)] == [1000, 3]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "no_rows"),
        (b" \n\n", 422, "no_rows"),
        (b"[]", 422, "no_rows"),
        (b'[{"shop": "main"', 400, "malformed_json"),
        (b"[" + b"7," * 200_000 + b"7]", 413, "too_many_rows"),
        (b"[" + b"7" * 300_000, 400, "malformed_json"),
    ],
)
async def test_a_body_that_is_no_rows_is_refused(keeper: Shopkeeper, body: bytes, status: int, code: str) -> None:
    assert await keeper.code("POST", "prices/bulk", status, content=body) == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":',
        b'{"shop": "main", "sku": "A", "price": NaN}',
        b'{"shop": "main", "sku": "A", "price": 7}\n{"shop": "main", "sku": "B", "price": 7}',
        # So long that it travels as a file.
        b'{"shop": "main", "sku": "A", "price": 7}\n' * 10_000,
    ],
)
async def test_what_is_said_to_be_json_is_one_document_or_refused(keeper: Shopkeeper, body: bytes) -> None:
    headers = keeper.client.speaking_as(keeper.caller) | {"Content-Type": "application/json; charset=utf-8"}
    answer = await keeper.client.post("/v1/prices/bulk?on_error=skip", content=body, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (400, "malformed_json"), answer.text
    assert (await resolved(keeper))["price"]["amount"] == 1000


async def test_a_byte_order_mark_and_line_ends_of_any_kind_do_no_harm(keeper: Shopkeeper) -> None:
    rows = [orjson.dumps({"shop": "main", "sku": sku, "price": 1}) for sku in "AB"]
    body = b"\xef\xbb\xbf" + rows[0] + b"\r\n\r\n" + rows[1]
    assert (await keeper.ask("POST", "prices/bulk", 200, content=body))["updated"] == 2
    body = b"\xef\xbb\xbf [" + b",".join(rows) + b"]"
    assert (await keeper.ask("POST", "prices/bulk", 200, content=body))["unchanged"] == 2


async def test_a_body_beyond_the_limit_is_refused(keeper: Shopkeeper) -> None:
    body = b" " * (32 * 1024 * 1024 + 1)
    assert await keeper.code("POST", "prices/bulk", 413, content=body) == "body_too_large"


async def test_a_list_that_is_missing_is_made_once_and_only_when_something_goes_into_it(keeper: Shopkeeper) -> None:
    await keeper.catalog.open_shop(code="new")
    await bulk(keeper, [{"shop": "new", "sku": "NONE", "price": 1}], on_error="skip")
    assert (await keeper.ask("GET", "price-lists?shop=new", 200))["items"] == []
    rows = [{"shop": "new", "sku": "A", "price": 1}]
    headers = keeper.client.speaking_as(keeper.caller)
    answers = await asyncio.gather(
        *(keeper.client.post("/v1/prices/bulk", content=orjson.dumps(rows), headers=headers) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(answer.json()["inserted"] for answer in answers) == [0, 0, 0, 1]
    assert len((await keeper.ask("GET", "price-lists?shop=new", 200))["items"]) == 1


async def make_variants(catalog: Catalog, products: int, variants: int) -> None:
    """So many products `P-n` with SKUs `P-n-m`, straight into the tables."""
    uow = catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", catalog.organization_id))
    ids = [new_id() for _ in range(products)]
    await uow.execute(
        "INSERT INTO products (organization_id, id, slug, title, status) SELECT $1, id, 'p-' || n, 'P', 'active'"
        " FROM unnest($2::uuid[]) WITH ORDINALITY AS p (id, n)",
        catalog.organization_id,
        ids,
    )
    await uow.execute(
        "INSERT INTO variants (organization_id, id, product_id, sku, option_key)"
        " SELECT $1, gen_random_uuid(), p.id, 'P-' || n || '-' || m, m::text"
        " FROM unnest($2::uuid[]) WITH ORDINALITY AS p (id, n) CROSS JOIN generate_series(1, $3) m",
        catalog.organization_id,
        ids,
        variants,
    )
    await uow.commit()


async def test_very_many_prices_are_one_operation_that_is_done_once(
    keeper: Shopkeeper, configuration: Settings
) -> None:
    products = int(25_000 * scale())
    await make_variants(keeper.catalog, products, 4)
    rows = [
        {"shop": "main", "sku": f"P-{n}-{m}", "price": n * 10 + m, "list_price": n * 20 + m}
        for n in range(1, products + 1)
        for m in range(1, 5)
    ]
    assert len(orjson.dumps(rows)) > routes._MESSAGE_BYTES, "it travels as a file"
    before, key = await announced(keeper), {"headers": {"Idempotency-Key": uuid4().hex}}
    done = await bulk(keeper, rows, **key)
    assert (done["inserted"], done["failed"]) == (len(rows), 0)
    assert await announced(keeper) - before == -(-products // 1000)
    assert await bulk(keeper, rows, **key) == done, "the same request again has the same answer"
    again = await bulk(keeper, rows)
    assert (again["unchanged"], again["updated"]) == (len(rows), 0)
    for row in rows[:: len(rows) // 100 + 1]:
        row["price"] += 1
    changed = len(rows[:: len(rows) // 100 + 1])
    third = await bulk(keeper, rows)
    assert (third["updated"], third["unchanged"]) == (changed, len(rows) - changed)
    folder = configuration.data / "blobs" / str(keeper.catalog.organization_id) / "price-rows"
    assert not [path for path in folder.rglob("*") if path.is_file()], "the rows are not kept"
    assert (await resolved(keeper, "P-2-3"))["price"] == usd(23)
    other = {"shop": "main", "sku": "P-1-1", "price": 1}
    refusal = await bulk(keeper, [other], 422, **key)
    assert refusal["code"] == "idempotency_key_reused"


async def test_two_writers_of_the_same_prices_wait_for_each_other(keeper: Shopkeeper) -> None:
    await make_variants(keeper.catalog, 50, 2)

    async def write(amount: int, *, backwards: bool) -> Any:
        rows = [{"shop": "main", "sku": f"P-{n}-{m}", "price": amount} for n in range(1, 51) for m in (1, 2)]
        return await bulk(keeper, rows[::-1] if backwards else rows)

    await asyncio.gather(*(write(amount, backwards=amount % 2 == 0) for amount in range(1, 7)))
    stored = await keeper.catalog.rows("SELECT DISTINCT price FROM prices WHERE price < 100")
    assert len(stored) == 1, "the prices of one writer, not of several"
