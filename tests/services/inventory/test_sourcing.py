"""Which centres serve an order: every strategy against a plain reckoning, and as shops choose it."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inventory.errors import InsufficientStock
from services.inventory.models import Place, Serving, Sourced, SourcingRule, Stock, WantedLine
from services.inventory.use_cases import sourcing
from shared.contracts.accounts.shapes import Shop
from shared.contracts.inventory.messages import AssignFulfilmentCentre, CreateFulfilmentCentre
from shared.contracts.inventory.sourcing import (
    ExplainSourcing,
    GetSourcing,
    SetSourcing,
    SourcingStrategy,
    Splitting,
    UnsetSourcing,
)
from shared.errors import CrossdockError
from shared.identifiers import new_id
from tests.conftest import scale
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant

pytestmark = pytest.mark.feature("INV-4")

TODAY = date(2026, 3, 1)
SKUS = ("A", "B", "C")
EXAMPLES = int(4000 * scale())


def serving(*centres: tuple[int, bool]) -> list[Serving]:
    """Centres with these preferences; the second says whether they dispatch."""
    found = [Serving(UUID(int=n + 1), f"c{n}", p, counts=True, dispatches=d) for n, (p, d) in enumerate(centres)]
    return sorted(found, key=lambda s: s.rank)


def stocked(levels: Mapping[tuple[str, int], int], **fields: Any) -> dict[Place, Stock]:
    return {
        (sku, UUID(int=n + 1)): Stock(sku, UUID(int=n + 1), on_hand=on_hand, **fields)
        for (sku, n), on_hand in levels.items()
    }


def chosen(
    lines: Sequence[WantedLine],
    centres: Sequence[Serving],
    stock: Mapping[Place, Stock],
    strategy: SourcingStrategy = "preference",
    splitting: Splitting = "lines",
) -> Sourced:
    return sourcing.choose(lines, centres, stock, TODAY, SourcingRule(strategy, splitting))


def taken(sourced: Sourced) -> dict[tuple[str, int], int]:
    return {(units.sku, units.centre_id.int - 1): units.quantity for units in sourced.units}


LEVELS = st.dictionaries(
    st.tuples(st.sampled_from(SKUS), st.integers(0, 4)), st.integers(0, 6), min_size=1, max_size=15
)
DEMAND = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 8), min_size=1)
CENTRES = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=5, max_size=5)
RULES = st.builds(
    SourcingRule,
    st.sampled_from(["preference", "most_stock", "fewest_shipments"]),
    st.sampled_from(["lines", "orders", "never"]),
)


def can_serve(
    demand: Mapping[str, int], ids: Sequence[UUID], stock: Mapping[Place, Stock], splitting: Splitting
) -> bool:
    """Whether these centres have it all, reckoned without any choice."""
    has = {sku: [stock[sku, id_].on_hand if (sku, id_) in stock else 0 for id_ in ids] for sku in demand}
    if splitting == "lines":
        return all(sum(has[sku]) >= quantity for sku, quantity in demand.items())
    if splitting == "orders":
        return all(max(has[sku], default=0) >= quantity for sku, quantity in demand.items())
    return any(all(has[sku][n] >= quantity for sku, quantity in demand.items()) for n in range(len(ids)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(LEVELS, DEMAND, CENTRES, RULES)
def test_an_order_is_served_exactly_when_it_can_be(
    levels: dict[tuple[str, int], int],
    demand: dict[str, int],
    centres: list[tuple[int, bool]],
    rule: SourcingRule,
) -> None:
    ids, stock = serving(*centres), stocked(levels)
    lines = [WantedLine(sku, quantity) for sku, quantity in demand.items()]
    possible = can_serve(demand, [s.centre_id for s in ids], stock, rule.splitting)
    if not possible:
        with pytest.raises(InsufficientStock) as refused:
            chosen(lines, ids, stock, rule.strategy, rule.splitting)
        assert {entry["sku"] for entry in refused.value.errors} <= set(demand)
        return
    sourced = chosen(lines, ids, stock, rule.strategy, rule.splitting)
    units = taken(sourced)
    assert all(quantity <= levels[place] for place, quantity in units.items())
    for sku, quantity in demand.items():
        assert sum(n for (taken_sku, _), n in units.items() if taken_sku == sku) == quantity
        if rule.splitting != "lines":
            assert len([place for place in units if place[0] == sku]) == 1
    if rule.splitting == "never":
        assert len({centre for _, centre in units}) == 1


@settings(max_examples=EXAMPLES, deadline=None)
@given(LEVELS, DEMAND, CENTRES, st.sampled_from(["lines", "orders"]))
def test_fewest_shipments_are_the_fewest(
    levels: dict[tuple[str, int], int],
    demand: dict[str, int],
    centres: list[tuple[int, bool]],
    splitting: Splitting,
) -> None:
    ids, stock = serving(*centres), stocked(levels)
    lines = [WantedLine(sku, quantity) for sku, quantity in demand.items()]
    smallest = next(
        (
            size
            for size in range(1, 6)
            if any(can_serve(demand, [s.centre_id for s in some], stock, splitting) for some in combinations(ids, size))
        ),
        None,
    )
    if smallest is None:
        with pytest.raises(InsufficientStock):
            chosen(lines, ids, stock, "fewest_shipments", splitting)
    else:
        sourced = chosen(lines, ids, stock, "fewest_shipments", splitting)
        assert len({units.centre_id for units in sourced.units}) == smallest


@settings(max_examples=EXAMPLES, deadline=None)
@given(LEVELS, st.integers(1, 8), CENTRES, st.sampled_from(["preference", "most_stock"]))
def test_a_centre_is_left_only_when_it_is_empty(
    levels: dict[tuple[str, int], int], quantity: int, centres: list[tuple[int, bool]], strategy: SourcingStrategy
) -> None:
    """The one after it gives only what the ones before it do not have."""
    ids, stock = serving(*centres), stocked(levels)
    try:
        units = taken(chosen([WantedLine("A", quantity)], ids, stock, strategy))
    except InsufficientStock:
        return
    order = ids
    if strategy == "most_stock":
        order = sorted(ids, key=lambda s: (not s.dispatches, -levels.get(("A", s.centre_id.int - 1), 0), s.rank))
    missing = quantity
    for centre in order:
        number = centre.centre_id.int - 1
        expected = min(levels.get(("A", number), 0), missing)
        assert units.get(("A", number), 0) == expected
        missing -= expected


def test_with_many_centres_the_set_is_still_small() -> None:
    """Twenty centres are more than are tried set by set."""
    ids = serving(*((n, True) for n in range(20)))
    levels = {("A", n): 1 for n in range(19)} | {("A", 19): 15, ("B", 19): 1}
    sourced = chosen([WantedLine("A", 15), WantedLine("B", 1)], ids, stocked(levels), "fewest_shipments")
    assert {units.centre_id.int - 1 for units in sourced.units} == {19}


def test_backorders_go_where_they_may_and_add_no_shipment() -> None:
    ids = serving((0, True), (1, True))
    stock = stocked({("A", 0): 1}) | stocked({("A", 1): 3, ("B", 1): 2}, policy="backorder")
    sourced = chosen([WantedLine("A", 5), WantedLine("B", 1)], ids, stock, "fewest_shipments")
    assert sum(units.backordered for units in sourced.units) == 1
    whole = chosen([WantedLine("A", 5)], ids, stock, "preference", "orders")
    assert taken(whole) == {("A", 1): 5}
    assert whole.units[0].backordered == 2
    with pytest.raises(InsufficientStock):
        chosen([WantedLine("A", 5, in_stock_only=True)], ids, stock, "preference", "orders")


def test_a_refusal_says_where_how_much_there_was() -> None:
    ids = serving((0, True), (1, True))
    stock = stocked({("A", 0): 2, ("A", 1): 3, ("B", 1): 1})
    with pytest.raises(InsufficientStock) as refused:
        chosen([WantedLine("A", 4), WantedLine("B", 9), WantedLine("C", 1)], ids, stock, splitting="orders")
    told = {entry["sku"]: entry for entry in refused.value.errors}
    assert told["A"]["reason"] == "not_in_one_centre"
    assert told["A"]["available"] == 3
    assert told["A"]["centres"] == [
        {"centre": "c0", "sku": "A", "available": 2},
        {"centre": "c1", "sku": "A", "available": 3},
    ]
    assert (told["B"]["reason"], told["C"]["reason"]) == ("not_enough", "not_stocked")
    with pytest.raises(InsufficientStock) as refused:
        chosen([WantedLine("A", 2), WantedLine("B", 1)], ids, stocked({("A", 0): 2, ("B", 1): 1}), splitting="never")
    assert {entry["reason"] for entry in refused.value.errors} == {"order_not_in_one_centre"}


def test_a_kit_comes_from_one_centre_where_lines_are_not_split() -> None:
    ids = serving((0, True), (1, True))
    kit = WantedLine("KIT", 2, parts={"A": 1, "B": 2})
    stock = stocked({("A", 0): 9, ("B", 0): 3, ("A", 1): 2, ("B", 1): 4})
    assert taken(chosen([kit], ids, stock)) == {("A", 0): 2, ("B", 0): 3, ("B", 1): 1}
    assert taken(chosen([kit], ids, stock, splitting="orders")) == {("A", 1): 2, ("B", 1): 4}
    assert taken(chosen([kit], ids, stock, "fewest_shipments")) == {("A", 1): 2, ("B", 1): 4}
    with pytest.raises(InsufficientStock) as refused:
        chosen([WantedLine("KIT", 5, parts={"A": 1, "B": 2})], ids, stock)
    (entry,) = refused.value.errors
    assert (entry["available"], entry["missing"]) == (3, [{"sku": "B", "requested": 10, "available": 7}])


def test_a_kit_and_its_child_do_not_share_units() -> None:
    ids = serving((0, True))
    stock = stocked({("A", 0): 3})
    with pytest.raises(InsufficientStock) as refused:
        chosen([WantedLine("A", 2), WantedLine("KIT", 2, parts={"A": 1})], ids, stock)
    assert [entry["reason"] for entry in refused.value.errors] == ["not_enough_for_all_lines"]


# --- as shops choose it


async def second_centre(merchant: Merchant, shop: Shop, preference: int = 200) -> None:
    centre = await merchant.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    await merchant.ask(AssignFulfilmentCentre(centre_id=centre.id, shop=shop.code, preference=preference))


def places(reservation: Any) -> dict[str, dict[str, int]]:
    return {line.sku: {part.centre_code: part.quantity for part in line.parts} for line in reservation.lines}


async def test_a_shops_rule_holds_for_what_it_reserves(merchant_of_stock: Merchant, shop: Shop) -> None:
    await second_centre(merchant_of_stock, shop)
    await merchant_of_stock.stocked({"A": 3, "B": 0})
    await merchant_of_stock.stocked({"A": 9, "B": 4}, centre="store")
    assert places(await merchant_of_stock.reserve(shop, A=2)) == {"A": {"main": 2}}
    rule = await merchant_of_stock.ask(GetSourcing(shop="main"))
    assert (rule.strategy, rule.splitting, rule.inherited_from) == ("preference", "lines", None)

    await merchant_of_stock.ask(SetSourcing(shop="main", strategy="most_stock"))
    assert places(await merchant_of_stock.reserve(shop, A=2)) == {"A": {"store": 2}}
    await merchant_of_stock.ask(SetSourcing(shop="main", strategy="fewest_shipments"))
    assert places(await merchant_of_stock.reserve(shop, A=1, B=1)) == {"A": {"store": 1}, "B": {"store": 1}}
    await merchant_of_stock.ask(UnsetSourcing(shop="main"))
    assert places(await merchant_of_stock.reserve(shop, A=1, B=1)) == {"A": {"main": 1}, "B": {"store": 1}}
    assert await merchant_of_stock.discrepancies() == []


async def test_what_is_shown_is_what_can_be_reserved_in_one_piece(merchant_of_stock: Merchant, shop: Shop) -> None:
    await second_centre(merchant_of_stock, shop)
    await merchant_of_stock.stocked({"A": 3})
    await merchant_of_stock.stocked({"A": 4}, centre="store")
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 7
    before = len(await merchant_of_stock.events("inventory", "stock_changed"))
    await merchant_of_stock.ask(SetSourcing(shop="main", splitting="orders"))
    assert len(await merchant_of_stock.events("inventory", "stock_changed")) > before
    assert (await merchant_of_stock.availability(shop, "A")).available_quantity == 4
    with pytest.raises(CrossdockError) as refused:
        await merchant_of_stock.reserve(shop, A=5)
    assert (refused.value.code, refused.value.errors[0]["reason"]) == ("insufficient_stock", "not_in_one_centre")
    assert places(await merchant_of_stock.reserve(shop, A=4)) == {"A": {"store": 4}}


async def test_a_sub_shop_chooses_as_its_parent_until_it_has_a_rule(merchant_of_stock: Merchant, shop: Shop) -> None:
    await merchant_of_stock.open_shop("outlet", parent_id=shop.id)
    await merchant_of_stock.ask(SetSourcing(shop="main", strategy="most_stock"))
    rule = await merchant_of_stock.ask(GetSourcing(shop="outlet"))
    assert (rule.strategy, rule.inherited_from) == ("most_stock", "main")
    rule = await merchant_of_stock.ask(SetSourcing(shop="outlet", strategy="preference", splitting="never"))
    assert (rule.strategy, rule.splitting, rule.inherited_from) == ("preference", "never", None)
    assert (await merchant_of_stock.ask(UnsetSourcing(shop="outlet"))).inherited_from == "main"


@pytest.mark.feature("INV-12")
async def test_what_was_weighed_is_told_as_it_was(merchant_of_stock: Merchant, shop: Shop) -> None:
    await second_centre(merchant_of_stock, shop)
    await merchant_of_stock.stocked({"A": 3})
    await merchant_of_stock.stocked({"A": 4}, centre="store")
    reservation = await merchant_of_stock.reserve(shop, A=4)
    await merchant_of_stock.stocked({"A": 0}, centre="store")
    told = await merchant_of_stock.ask(ExplainSourcing(reservation_id=reservation.id))
    (line,) = told.lines
    assert (told.strategy, line.quantity) == ("preference", 4)
    assert [(w.centre, w.available, w.taken, w.verdict) for w in line.weighed] == [
        ("main", 3, 3, "chosen"),
        ("store", 4, 1, "chosen"),
    ]
    assert (await merchant_of_stock.ask(ExplainSourcing(reservation_id=reservation.id, sku="B"))).lines == []
    with pytest.raises(CrossdockError) as refused:
        await merchant_of_stock.ask(ExplainSourcing(reservation_id=new_id()))
    assert refused.value.code == "reservation_not_found"


@pytest.mark.feature("GAT-1", "GAT-2")
async def test_sourcing_through_both_doors(client: Client, process: Any) -> None:
    owner = Merchant(process)
    shop = await owner.open_shop()
    headers = client.speaking_as(owner.caller)
    set_ = await client.put(
        "/v1/shops/main/sourcing", json={"strategy": "fewest_shipments", "splitting": "orders"}, headers=headers
    )
    assert set_.status_code == 200, set_.text
    query = {"query": '{ sourcing(shop: "main") { strategy splitting inheritedFrom } }'}
    told = (await client.post("/graphql", json=query, headers=headers)).json()["data"]["sourcing"]
    assert told == {"strategy": "FEWEST_SHIPMENTS", "splitting": "ORDERS", "inheritedFrom": None}
    bad = await client.put("/v1/shops/main/sourcing", json={"strategy": "cheapest"}, headers=headers)
    assert bad.status_code == 422
    unset = await client.delete("/v1/shops/main/sourcing", headers=headers)
    assert unset.json()["strategy"] == "preference"
    reader = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))
    assert (await client.put("/v1/shops/main/sourcing", json={}, headers=reader)).status_code == 403
    limited = client.speaking_as(caller_of(owner.organization_id, "inventory:write", shop_ids=[new_id()]))
    assert (await client.put("/v1/shops/main/sourcing", json={}, headers=limited)).status_code == 404
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.get("/v1/shops/main/sourcing", headers=stranger)).status_code == 404
    await owner.stocked({"A": 2})
    reservation = await owner.reserve(shop, A=1)
    path = f"/v1/reservations/{reservation.id}/sourcing"
    told = (await client.get(path, headers=reader)).json()
    assert told["lines"][0]["weighed"][0]["verdict"] == "chosen"
    assert (await client.get(path, headers=stranger)).status_code == 404
