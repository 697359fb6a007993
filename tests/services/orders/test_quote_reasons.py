"""What stands in the way of a quote's line is what the order would be refused for, in the same words."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deploy import topology
from shared.contracts.inventory.kits import KitPart, SetKit
from shared.contracts.inventory.messages import (
    AssignFulfilmentCentre,
    CreateFulfilmentCentre,
    ListFulfilmentCentres,
    SetStockPolicy,
    UnassignFulfilmentCentre,
)
from shared.contracts.inventory.sourcing import SetSourcing
from shared.identifiers import new_id
from tests.doors import Client
from tests.factories.orders import Seller, body

pytestmark = pytest.mark.feature("ORD-1", "INV-4")


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    """Sells MUG, of which there are ten, NEW, which no centre ever held, and KIT of two mugs."""
    seller = await Seller(process).open({"MUG": "10.00", "NEW": "1.00", "KIT": "15.00"}, {"MUG": 10})
    await seller.ask(SetKit(sku="KIT", parts=[KitPart(sku="MUG", quantity=2)]))
    return seller


async def nothing(_seller: Seller) -> None:
    """As it is."""


async def no_centre(seller: Seller) -> None:
    (main,) = (await seller.ask(ListFulfilmentCentres())).items
    await seller.ask(UnassignFulfilmentCentre(centre_id=main.id, shop="main"))


async def showroom(seller: Seller) -> None:
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="showroom"))


async def sold_out(seller: Seller) -> None:
    await seller.stocked({"MUG": 0})


async def two_centres(seller: Seller) -> None:
    centre = await seller.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    await seller.ask(AssignFulfilmentCentre(centre_id=centre.id, shop="main"))
    await seller.stocked({"MUG": 10}, centre="store")
    await seller.ask(SetSourcing(shop="main", splitting="orders"))


@pytest.mark.parametrize(
    ("happens", "sku", "quantity", "reason", "message"),
    [
        (no_centre, "MUG", 1, "no_centre", "No fulfilment centre sells for this shop: assign one to it."),
        (no_centre, "NEW", 1, "no_centre", "No fulfilment centre sells for this shop: assign one to it."),
        (no_centre, "KIT", 1, "no_centre", "No fulfilment centre sells for this shop: assign one to it."),
        (nothing, "NEW", 1, "not_stocked", "It is out of stock."),
        (showroom, "MUG", 1, "not_on_sale", "It is not on sale now."),
        (showroom, "KIT", 1, "not_on_sale", "It is not on sale now."),
        (sold_out, "MUG", 1, "out_of_stock", "It is out of stock."),
        (nothing, "MUG", 11, "not_enough", "Only 10 can be had now."),
        (nothing, "KIT", 6, "not_enough", "Only 5 can be had now."),
        (two_centres, "MUG", 11, "not_in_one_centre", "Only 10 can be had now."),
        (two_centres, "KIT", 6, "not_in_one_centre", "Only 5 can be had now."),
        (two_centres, "MUG", 21, "not_enough", "Only 10 can be had now."),
    ],
)
async def test_a_quote_says_why_as_the_order_would(
    client: Client,
    seller: Seller,
    happens: Callable[[Seller], Awaitable[None]],
    sku: str,
    quantity: int,
    reason: str,
    message: str,
) -> None:
    await happens(seller)
    headers = client.speaking_as(seller.storefront())
    lines = [{"sku": sku, "quantity": quantity}]
    quoted = (await client.post("/v1/quotes", json={"shop": "main", "lines": lines}, headers=headers)).json()
    (line,) = quoted["lines"]
    assert (line["problem"], line["reason"], line["message"]) == ("insufficient_stock", reason, message)
    assert quoted["can_be_placed"] is False
    refused = await client.post(
        "/v1/orders", json=body(lines=lines), headers=headers | {"Idempotency-Key": new_id().hex}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, line["problem"]), refused.text
    assert refused.json()["errors"][0]["reason"] == reason


async def test_where_nothing_is_short_there_is_no_reason(client: Client, seller: Seller) -> None:
    headers = client.speaking_as(seller.storefront())

    async def told(*lines: dict[str, Any]) -> list[Any]:
        query = (
            'mutation($lines: [OrderedLineInput!]!) { createQuote(shop: "main", lines: $lines) {'
            " ... on Quote { lines { sku problem reason } } ... on Problem { code } } }"
        )
        answer = await client.post(
            "/graphql", json={"query": query, "variables": {"lines": list(lines)}}, headers=headers
        )
        quote = answer.json()["data"]["createQuote"]
        return [(line["problem"], line["reason"]) for line in quote["lines"]]

    asked = [{"sku": "MUG", "quantity": 10}, {"sku": "KIT", "quantity": 5}, {"sku": "NOWHERE", "quantity": 1}]
    assert await told(*asked) == [(None, None), (None, None), ("UNKNOWN_SKU", None)]
    await seller.ask(SetStockPolicy(sku="MUG", centre="main", policy="backorder"))
    assert await told({"sku": "MUG", "quantity": 11}) == [(None, None)]


async def one_centre_for_all(seller: Seller) -> None:
    """MUG lies here, CUP there."""
    centre = await seller.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    await seller.ask(AssignFulfilmentCentre(centre_id=centre.id, shop="main"))
    await seller.stocked({"NEW": 10}, centre="store")
    await seller.ask(SetSourcing(shop="main", splitting="never"))


@pytest.mark.parametrize(
    ("happens", "wanted", "reason", "message"),
    [
        (nothing, {"MUG": 4, "KIT": 4}, "not_enough_for_all_lines", "There is not enough for all lines that need it."),
        (
            one_centre_for_all,
            {"MUG": 1, "NEW": 1},
            "order_not_in_one_centre",
            "No fulfilment centre has all of the order, which has to come from one.",
        ),
    ],
)
async def test_a_quote_says_what_stands_in_the_way_of_the_whole(
    client: Client,
    seller: Seller,
    happens: Callable[[Seller], Awaitable[None]],
    wanted: dict[str, int],
    reason: str,
    message: str,
) -> None:
    """Each line could be had by itself."""
    await happens(seller)
    headers = client.speaking_as(seller.storefront())
    for sku, quantity in wanted.items():
        alone = {"shop": "main", "lines": [{"sku": sku, "quantity": quantity}]}
        assert (await client.post("/v1/quotes", json=alone, headers=headers)).json()["can_be_placed"] is True
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in wanted.items()]
    quoted = (await client.post("/v1/quotes", json={"shop": "main", "lines": lines}, headers=headers)).json()
    short = {line["sku"]: line for line in quoted["lines"] if line["problem"]}
    assert quoted["can_be_placed"] is False
    assert {(line["problem"], line["reason"], line["message"]) for line in short.values()} == {
        ("insufficient_stock", reason, message)
    }
    refused = await client.post(
        "/v1/orders", json=body(lines=lines), headers=headers | {"Idempotency-Key": new_id().hex}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock"), refused.text
    assert {each["sku"]: each["reason"] for each in refused.json()["errors"]} == dict.fromkeys(short, reason)


async def test_lines_that_share_goods_are_quoted_whole_where_there_is_enough(client: Client, seller: Seller) -> None:
    headers = client.speaking_as(seller.storefront())
    lines = [{"sku": "MUG", "quantity": 4}, {"sku": "KIT", "quantity": 3}]
    quoted = (await client.post("/v1/quotes", json={"shop": "main", "lines": lines}, headers=headers)).json()
    assert (quoted["can_be_placed"], [line["problem"] for line in quoted["lines"]]) == (True, [None, None])


@pytest.mark.feature("ORD-1", "INV-4")
async def test_a_quote_names_where_each_line_would_come_from(client: Client, seller: Seller) -> None:
    """And so the order is reserved."""
    centre = await seller.ask(CreateFulfilmentCentre(code="store", name="Store", kind="store"))
    await seller.ask(AssignFulfilmentCentre(centre_id=centre.id, shop="main", preference=200))
    await seller.stocked({"MUG": 3}, centre="store")
    await seller.stocked({"NEW": 10})
    await seller.ask(SetStockPolicy(sku="NEW", centre="main", policy="backorder"))
    headers = client.speaking_as(seller.storefront())

    async def sources(**wanted: int) -> list[list[tuple[Any, ...]]]:
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in wanted.items()]
        quoted = (await client.post("/v1/quotes", json={"shop": "main", "lines": lines}, headers=headers)).json()
        return [
            [(each["sku"], each["centre"], each["quantity"], each["beyond_stock"]) for each in line["sources"]]
            for line in quoted["lines"]
        ]

    assert await sources(MUG=12, NEW=11) == [
        [("MUG", "main", 10, 0), ("MUG", "store", 2, 0)],
        [("NEW", "main", 11, 1)],
    ]
    # A kit comes from where its children lie; with a line that cannot be served, none is promised anything.
    assert await sources(KIT=6) == [[("MUG", "main", 10, 0), ("MUG", "store", 2, 0)]]
    assert await sources(MUG=14, NEW=1) == [[], []]
    placed = await client.post(
        "/v1/orders",
        json=body(lines=[{"sku": "MUG", "quantity": 12}]),
        headers=headers | {"Idempotency-Key": new_id().hex},
    )
    assert placed.status_code == 201, placed.text
    rows = await seller.rows(
        "inventory",
        "SELECT c.code, l.quantity FROM reservation_lines l JOIN fulfilment_centres c ON c.id = l.centre_id"
        " WHERE l.sku = 'MUG' ORDER BY c.code",
    )
    assert [(row["code"], row["quantity"]) for row in rows] == [("main", 10), ("store", 2)]
    query = (
        'mutation { createQuote(shop: "main", lines: [{sku: "NEW", quantity: 1}]) {'
        " ... on Quote { lines { sources { sku centre quantity beyondStock } } } } }"
    )
    told = (await client.post("/graphql", json={"query": query}, headers=headers)).json()
    assert told["data"]["createQuote"]["lines"] == [
        {"sources": [{"sku": "NEW", "centre": "main", "quantity": 1, "beyondStock": 0}]}
    ]
