"""Carriers and shipping methods: what a cart is offered, what it costs, and how a shipment is followed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory.shipping_prices import price_of
from services.inventory.use_cases import carriers
from shared.contracts.base import Message
from shared.contracts.inventory.carriers import (
    CarrierChange,
    CarrierDraft,
    ChangeCarrier,
    ChangeShippingMethod,
    CreateCarrier,
    CreateShippingMethod,
    FindShippingMethods,
    ListShippingMethods,
    ShippingMethod,
    ShippingMethodChange,
    ShippingMethodDraft,
    ShippingOffers,
    ShippingPrice,
    ShippingRate,
)
from shared.contracts.inventory.messages import AssignFulfilmentCentre, CreateFulfilmentCentre
from shared.contracts.inventory.shipments import ChangeShipment, GetShipment, Package, ShipmentChange
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import Client, caller_of
from tests.factories.inventory import Merchant
from tests.factories.orders import Seller

pytestmark = pytest.mark.feature("INV-11")

FIXED = {"currency": "USD", "rates": [{"price": 495}]}


@pytest.fixture
async def merchant(merchant_of_stock: Merchant, shop: Any) -> Merchant:
    return merchant_of_stock


async def refused(merchant: Merchant, message: Message[Any]) -> str:
    with pytest.raises(CarriedError) as refusal:
        await merchant.ask(message)
    return refusal.value.code


async def method(merchant: Merchant, code: str, price: Any = None, **fields: Any) -> ShippingMethod:
    draft = ShippingMethodDraft(code=code, name=code.title(), price=price or FIXED, **{"shops": ["main"], **fields})
    return await merchant.ask(CreateShippingMethod(method=draft))


async def offered(merchant: Merchant, shop: Any, amount: int = 1000, **cart: Any) -> ShippingOffers:
    total = Money(amount=amount, currency=cart.pop("currency", "USD"))
    return await merchant.ask(FindShippingMethods(shop_id=shop.id, total=total, **cart), inside="orders")


def told(offers: ShippingOffers) -> tuple[dict[str, int], dict[str, str]]:
    """Prices by code, and reasons by code."""
    return (
        {each.code: each.price.amount for each in offers.items},
        {each.code: each.reason for each in offers.refused},
    )


# --- prices


def tables(by: str) -> st.SearchStrategy[ShippingPrice]:
    bounds = st.lists(st.integers(0, 10_000), min_size=1, max_size=8, unique=True).map(sorted)

    def price(drawn: tuple[list[int], list[int], bool]) -> ShippingPrice:
        ups: list[int | None] = [*drawn[0]]
        if drawn[2]:
            ups[-1] = None
        rates = [ShippingRate(up_to=up, price=amount) for up, amount in zip(ups, drawn[1], strict=False)]
        return ShippingPrice(by=by, currency="USD", rates=rates)  # type: ignore[arg-type]

    prices = st.lists(st.integers(0, 10**9), min_size=8, max_size=8)
    return st.tuples(bounds, prices, st.booleans()).map(price)


@given(table=tables("weight"), weight=st.integers(0, 12_000), total=st.integers(0, 12_000))
def test_a_table_prices_by_the_smallest_row_that_holds_it(table: ShippingPrice, weight: int, total: int) -> None:
    by_total = table.model_copy(update={"by": "total"})
    for price, measured, beyond in ((table, weight, "too_heavy"), (by_total, total, "total_too_high")):
        holding = [rate for rate in price.rates if rate.up_to is None or rate.up_to >= measured]
        found = price_of(price, total, weight)
        if not holding:
            assert found == beyond
            continue
        smallest = min(holding, key=lambda rate: float("inf") if rate.up_to is None else rate.up_to)
        assert found == smallest.price
        assert isinstance(found, int)


@given(total=st.integers(0, 10**12), weight=st.none() | st.integers(0, 10**9), price=st.integers(0, 10**9))
def test_a_fixed_price_is_the_price(total: int, weight: int | None, price: int) -> None:
    assert price_of(ShippingPrice(currency="USD", rates=[ShippingRate(price=price)]), total, weight) == price


@pytest.mark.parametrize(
    "price",
    [
        {"currency": "USD", "rates": []},
        {"currency": "USD", "rates": [{"price": 1}, {"price": 2}]},
        {"currency": "USD", "rates": [{"price": 1, "up_to": 5}]},
        {"currency": "USD", "by": "weight", "rates": [{"price": 1}, {"price": 2, "up_to": 5}]},
        {"currency": "USD", "by": "total", "rates": [{"price": 1, "up_to": 5}, {"price": 2, "up_to": 5}]},
        {"currency": "USD", "by": "weight", "rates": [{"price": -1}]},
        {"currency": "USD", "by": "weight", "rates": [{"price": 1.5}]},
        {"currency": "USD", "by": "weight", "rates": [{"price": 10**13}]},
        {"currency": "usd", "rates": [{"price": 1}]},
    ],
)
def test_what_is_no_price_is_refused(price: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ShippingPrice.model_validate(price)


def test_cheapest_first_and_reasons_for_the_rest() -> None:
    def made(code: str, **price: Any) -> ShippingMethod:
        known = {"carrier": None, "service": None, "countries": [], "shops": [], "centres": [], "is_active": True}
        return ShippingMethod(
            id=new_id(), code=code, name=code, version=1, price=ShippingPrice(**{**FIXED, **price}), **known
        )

    methods = [
        made("dear"),
        made("cheap", rates=[{"price": 0}]),
        made("euros", currency="EUR"),
        made("light", by="weight", rates=[{"price": 100, "up_to": 500}]),
    ]
    total = Money(amount=1000, currency="USD")
    offers = carriers.weigh(methods, total, 501, None)
    assert [(each.code, each.price.amount) for each in offers.items] == [("cheap", 0), ("dear", 495)]
    assert told(offers)[1] == {"euros": "wrong_currency", "light": "too_heavy"}
    assert told(carriers.weigh(methods, total, None, None))[1]["light"] == "weight_unknown"


# --- offers


async def test_what_a_shop_offers(merchant: Merchant, shop: Any) -> None:
    await method(merchant, "standard")
    await method(merchant, "by-weight", {"by": "weight", "currency": "USD", "rates": [{"price": 300, "up_to": 2000}]})
    rates = [{"price": 900, "up_to": 4999}, {"price": 0}]
    await method(merchant, "by-total", {"by": "total", "currency": "USD", "rates": rates})
    await method(merchant, "inland", countries=["US"])
    await method(merchant, "asleep", is_active=False)
    await method(merchant, "nowhere", shops=[])
    prices, reasons = told(await offered(merchant, shop, weight_grams=2000, country="US"))
    assert prices == {"by-weight": 300, "inland": 495, "standard": 495, "by-total": 900}
    assert reasons == {}
    prices, reasons = told(await offered(merchant, shop, 5000, country="FR"))
    assert prices == {"by-total": 0, "standard": 495}
    assert reasons == {"by-weight": "weight_unknown", "inland": "country_not_served"}
    assert told(await offered(merchant, shop))[1]["inland"] == "country_unknown"
    assert set(told(await offered(merchant, shop, currency="EUR"))[1].values()) == {"wrong_currency"}


async def test_a_sub_shop_has_its_parents_methods_until_it_has_its_own(merchant: Merchant, shop: Any) -> None:
    sub = await merchant.open_shop("sub", parent_id=shop.id)
    await method(merchant, "standard")
    assert told(await offered(merchant, sub))[0] == {"standard": 495}
    await method(merchant, "own", shops=["sub"])
    assert told(await offered(merchant, sub))[0] == {"own": 495}
    assert told(await offered(merchant, shop))[0] == {"standard": 495}


async def test_a_method_carries_from_its_centres(merchant: Merchant, shop: Any) -> None:
    store = await merchant.ask(CreateFulfilmentCentre(code="store", name="Store"))
    await method(merchant, "courier", centres=["store"])
    assert told(await offered(merchant, shop))[0] == {}
    await merchant.ask(AssignFulfilmentCentre(centre_id=store.id, shop="main", dispatches=False))
    assert told(await offered(merchant, shop))[0] == {}
    await merchant.ask(AssignFulfilmentCentre(centre_id=store.id, shop="main"))
    assert told(await offered(merchant, shop))[0] == {"courier": 495}


async def test_methods_and_carriers_are_changed_and_refused(merchant: Merchant, shop: Any) -> None:
    draft = CarrierDraft(code="post", name="Post", services=[{"code": "express", "name": "Express"}])
    carrier = await merchant.ask(CreateCarrier(carrier=draft))
    assert await refused(merchant, CreateCarrier(carrier=draft)) == "carrier_code_taken"
    made = await method(merchant, "standard", carrier="post", service="express", countries=["US"])
    assert (made.carrier, made.service, made.shops, made.centres) == ("post", "express", ["main"], [])

    async def creating(**fields: Any) -> str:
        wanted = ShippingMethodDraft(**{"code": "other", "name": "Other", "price": FIXED, **fields})
        return await refused(merchant, CreateShippingMethod(method=wanted))

    assert await creating(code="standard") == "shipping_method_code_taken"
    assert await creating(carrier="nobody") == "carrier_not_found"
    assert await creating(carrier="post", service="slow") == "unknown_service"
    assert await creating(service="express") == "unknown_service"
    assert await creating(shops=["elsewhere"]) == "shop_not_found"
    assert await creating(centres=["elsewhere"]) == "centre_not_found"
    assert await creating(price={"currency": "XXX", "rates": [{"price": 1}]}) == "unknown_currency"
    assert [each.code for each in (await merchant.ask(ListShippingMethods())).items] == ["standard"]

    async def changed(expected_version: int | None = None, **fields: Any) -> ShippingMethod:
        change = ShippingMethodChange(**fields)
        message = ChangeShippingMethod(method_id=made.id, change=change, expected_version=expected_version)
        return await merchant.ask(message)

    assert (await changed(1, price={"currency": "USD", "rates": [{"price": 700}]})).price.rates[0].price == 700
    with pytest.raises(CarriedError) as late:
        await changed(1, name="Late")
    assert late.value.code == "shipping_method_changed_since"
    assert (await changed(countries=[], shops=[])).shops == []
    with pytest.raises(CarriedError) as wrong:
        await changed(carrier=None)
    assert wrong.value.code == "unknown_service"
    assert (await changed(carrier=None, service=None)).carrier is None
    await changed(carrier="post", shops=["main"])
    await merchant.ask(ChangeCarrier(carrier_id=carrier.id, change=CarrierChange(is_active=False)))
    assert told(await offered(merchant, shop)) == ({}, {})
    late_change = ChangeCarrier(carrier_id=carrier.id, change=CarrierChange(name="P"), expected_version=1)
    assert await refused(merchant, late_change) == "carrier_changed_since"


# --- tracking


async def test_a_shipment_is_followed_by_its_carriers_address(seller: Seller) -> None:
    draft = CarrierDraft(code="post", name="Post", tracking_url_pattern="https://track.example.com/{number}?v=1")
    carrier = await seller.ask(CreateCarrier(carrier=draft))
    order = await seller.pay(await seller.place(MUG=1))
    boxes = [Package(tracking_number="B 2")]
    sent = await seller.ship(order, carrier="post", tracking_numbers=["A/1"], packages=boxes)
    assert sent.tracking_url == "https://track.example.com/A%2F1?v=1"
    assert [(each.number, each.url) for each in sent.tracking] == [
        ("A/1", "https://track.example.com/A%2F1?v=1"),
        ("B 2", "https://track.example.com/B%202?v=1"),
    ]
    await seller.settle()
    (known,) = (await seller.order(order.id)).shipments
    assert known.tracking_url == sent.tracking_url
    pattern = CarrierChange(tracking_url_pattern="https://new.example.com/?id={number}")
    await seller.ask(ChangeCarrier(carrier_id=carrier.id, change=pattern))
    assert (await seller.ask(GetShipment(shipment_id=sent.id))).tracking_url == "https://new.example.com/?id=A%2F1"
    given = ShipmentChange(tracking_url="https://own.example.com/")
    own = await seller.ask(ChangeShipment(shipment_id=sent.id, change=given))
    assert own.tracking_url == "https://own.example.com/"
    unknown = await seller.ask(
        ChangeShipment(shipment_id=sent.id, change=ShipmentChange(carrier="X", tracking_url=None))
    )
    assert (unknown.tracking_url, unknown.tracking[0].url) == (None, None)


# --- doors


async def test_the_doors(client: Client, merchant: Merchant, shop: Any) -> None:
    headers = client.speaking_as(merchant.caller)
    body: dict[str, Any] = {"code": "post", "name": "Post", "tracking_url_pattern": "https://t.example.com/{number}"}
    made = await client.post("/v1/carriers", json=body, headers=headers)
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    changed = await client.patch(path, json={"name": "The Post"}, headers=headers | {"If-Match": '"1"'})
    assert (changed.json()["name"], changed.headers["etag"]) == ("The Post", '"2"')
    listed = await client.get("/v1/carriers", headers=headers)
    assert [each["code"] for each in listed.json()["items"]] == ["post"]
    wanted: dict[str, Any] = {"code": "std", "name": "Standard", "carrier": "post", "price": FIXED, "shops": ["main"]}
    created = await client.post("/v1/shipping-methods", json=wanted, headers=headers)
    assert created.status_code == 201, created.text
    assert (await client.get("/v1/shipping-methods?shop=main", headers=headers)).json()["items"] == [created.json()]
    patched = await client.patch(created.headers["location"], json={"name": "Std"}, headers=headers)
    assert patched.json()["name"] == "Std"
    storefront = client.speaking_as(caller_of(merchant.organization_id, "storefront"))
    url = "/v1/shops/main/shipping-methods?total=1000&currency=USD&weight_grams=5&country=US"
    offers = (await client.get(url, headers=storefront)).json()
    assert offers["items"][0]["price"] == {"amount": 495, "currency": "USD"}
    query = """{ shopShippingMethods(shop: "main", total: 1000, currency: "USD") { items { code price { amount } } }
        carriers { edges { node { code } } } shippingMethods { edges { node { code price { rates { price } } } } } }"""
    found = (await client.post("/graphql", json={"query": query}, headers=headers)).json()["data"]
    assert found["shopShippingMethods"]["items"] == [{"code": "std", "price": {"amount": 495}}]
    assert found["shippingMethods"]["edges"][0]["node"] == {"code": "std", "price": {"rates": [{"price": 495}]}}
    mutation = """mutation { createCarrier(carrier: {code: "fast", name: "Fast"}) {
        ... on Carrier { code version } ... on Problem { code } } }"""
    answer = (await client.post("/graphql", json={"query": mutation}, headers=headers)).json()
    assert answer["data"]["createCarrier"] == {"code": "fast", "version": 1}
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.get(path, headers=stranger)).json()["code"] == "carrier_not_found"
    assert (await client.get(url, headers=stranger)).json()["code"] == "shop_not_found"
    other_shop = client.speaking_as(caller_of(merchant.organization_id, "storefront", shop_ids=[new_id()]))
    assert (await client.get(url, headers=other_shop)).json()["code"] == "shop_not_found"
    for denied in ("catalog:read", "inventory:read"):
        reader = client.speaking_as(caller_of(merchant.organization_id, denied))
        assert (await client.post("/v1/carriers", json=body, headers=reader)).json()["code"] == "missing_scope"
    for pattern in ("https://t.example.com/", "ftp://{number}", "javascript:{number}", "https://a b/{number}"):
        bad = await client.post("/v1/carriers", json=body | {"tracking_url_pattern": pattern}, headers=headers)
        assert bad.status_code == 422, pattern
    for wrong in ("total=-1&currency=USD", "total=1.5&currency=USD", "total=1&currency=usd", "total=1"):
        assert (await client.get(f"/v1/shops/main/shipping-methods?{wrong}", headers=headers)).status_code == 422
