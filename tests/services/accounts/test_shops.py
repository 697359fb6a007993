"""Organizations and shops: their rules, asked over the bus."""

import asyncio
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from deploy import topology
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.accounts.messages import (
    ChangeOrganization,
    ChangeShop,
    CreateOrganization,
    CreateShop,
    GetOrganization,
    GetShop,
    ListOrganizations,
    ListShops,
    RemoveShop,
)
from shared.contracts.accounts.shapes import OrganizationChange, PostalAddress, Shop, ShopChange
from shared.errors import CarriedError
from shared.identifiers import new_id
from tests.services.accounts.conftest import Speak, caller, founded


def draft(code: str = "main", **more: Any) -> CreateShop:
    return CreateShop(**{"code": code, "name": "Shop", "currency": "USD", "locale": "en-us", **more})


async def refused(code: str, asking: Any) -> CarriedError:
    with pytest.raises(CarriedError) as caught:
        await asking
    assert caught.value.code == code
    return caught.value


async def events(process: topology.Surrounded, organization: Caller, name: str) -> list[Any]:
    uow = process.surroundings.unit_of_work("accounts", service_envelope("accounts", organization.organization_id))
    rows = await uow.fetch("SELECT payload FROM outbox WHERE name = $1 ORDER BY id", name)
    await uow.rollback()
    return [orjson.loads(row["payload"]) for row in rows]


@pytest.mark.feature("ACC-1")
async def test_an_organization_is_made_once_by_the_installation(process: topology.Surrounded, ask: Speak) -> None:
    organization_id = await founded(process, is_supplier=True)
    found = await ask(GetOrganization(organization_id=organization_id), caller(organization_id))
    assert (found.name, found.is_merchant, found.is_supplier, found.version) == ("Lisbon Bicycles", True, True, 1)
    again = process.bus.ask(CreateOrganization(name="Again"), service_envelope("deploy", organization_id))
    await refused("organization_exists", again)


@pytest.mark.feature("ACC-1")
async def test_no_tenant_makes_organizations(ask: Speak, founder: Caller) -> None:
    await refused("forbidden", ask(CreateOrganization(name="Mine"), caller(new_id())))
    await refused("missing_scope", ask(CreateOrganization(name="Mine"), caller(new_id(), "accounts:write")))
    await refused("unauthenticated", ask(CreateOrganization(name="Mine"), Caller()))


@pytest.mark.feature("ACC-1")
async def test_an_organization_sees_and_changes_itself_alone(ask: Speak, founder: Caller, rival: Caller) -> None:
    own = (await ask(ListOrganizations(), founder)).items
    assert [one.id for one in own] == [founder.organization_id]
    await refused("organization_not_found", ask(GetOrganization(organization_id=own[0].id), rival))
    change = OrganizationChange(name="New name", address=PostalAddress(city="Porto", country="PT"))
    message = ChangeOrganization(organization_id=own[0].id, change=change, expected_version=1)
    await refused("organization_not_found", ask(message, rival))
    changed = await ask(message, founder)
    assert (changed.name, changed.address.city, changed.version) == ("New name", "Porto", 2)
    await refused("version_changed", ask(message, founder))


@pytest.mark.feature("ACC-1", "ACC-2")
async def test_roles_of_an_organization_hold(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    nothing = OrganizationChange(is_merchant=False)
    message = ChangeOrganization(organization_id=founder.organization_id, change=nothing)
    await refused("organization_does_nothing", ask(message, founder))
    await ask(draft(), founder)
    supplier = message.model_copy(update={"change": OrganizationChange(is_merchant=False, is_supplier=True)})
    await refused("merchant_has_shops", ask(supplier, founder))
    factory = caller(await founded(process, is_merchant=False, is_supplier=True))
    await refused("not_merchant", ask(draft(), factory))
    with pytest.raises(ValidationError):
        CreateOrganization(name="Neither", is_merchant=False)


@pytest.mark.feature("ACC-2")
async def test_a_shop_keeps_everything_it_is_given(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    address = PostalAddress(lines=["Rua Augusta 1"], city="Lisboa", postal_code="1100-048", country="PT")
    shop = await ask(
        draft(
            time_zone="Europe/Lisbon",
            currency="EUR",
            locale="pt-pt",
            storefront_url="https://shop.example/",
            address=address,
            settings={"theme": {"dark": True}},
        ),
        founder,
    )
    assert shop == await ask(GetShop(shop_id=shop.id), founder)
    assert (shop.locale, shop.time_zone, shop.address, shop.settings) == (
        "pt-PT",
        "Europe/Lisbon",
        address,
        {"theme": {"dark": True}},
    )
    [announced] = await events(process, founder, "accounts.shop_changed")
    assert Shop.model_validate(announced["shop"]) == shop


@pytest.mark.feature("ACC-2")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", "Main"),
        ("code", ""),
        ("code", "a" * 64),
        ("code", "a/b"),
        ("code", "a\n"),
        ("name", "  "),
        ("name", "a\x00b"),
        ("name", "x" * 201),
        ("currency", "USX"),
        ("currency", "usd"),
        ("locale", "english"[:1]),
        ("locale", "en_US"),
        ("locale", "en-USA-"),
        ("locale", "e" * 40),
        ("time_zone", "Lisbon"),
        ("time_zone", "../etc/passwd"),
        ("storefront_url", "shop.example"),
        ("storefront_url", "javascript:alert(1)"),
        ("storefront_url", "https://a b"),
        ("storefront_url", "https://shop.example:99999"),
        ("address", {"country": "Portugal"}),
        ("settings", {"x": "y" * 70_000}),
        ("settings", []),
    ],
)
def test_a_shop_is_not_made_of_nonsense(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        draft(**{field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.feature("ACC-2")
async def test_a_code_is_unique_in_its_organization_even_twice_at_once(
    ask: Speak, founder: Caller, rival: Caller
) -> None:
    results = await asyncio.gather(*(ask(draft(), founder) for _ in range(4)), return_exceptions=True)
    made = [result for result in results if isinstance(result, Shop)]
    assert len(made) == 1
    assert {result.code for result in results if isinstance(result, CarriedError)} == {"shop_code_taken"}
    assert (await ask(draft(), rival)).code == "main"
    other = await ask(draft("other"), founder)
    await refused("shop_code_taken", ask(ChangeShop(shop_id=other.id, change=ShopChange(code="main")), founder))


@pytest.mark.feature("ACC-2")
async def test_a_change_touches_what_it_names(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    shop = await ask(draft(storefront_url="https://shop.example", settings={"a": 1}), founder)
    renamed = await ask(ChangeShop(shop_id=shop.id, change=ShopChange(name="New"), expected_version=1), founder)
    assert renamed == shop.model_copy(update={"name": "New", "version": 2})
    emptied = await ask(ChangeShop(shop_id=shop.id, change=ShopChange(storefront_url=None)), founder)
    assert (emptied.storefront_url, emptied.name, emptied.version) == (None, "New", 3)
    stale = ChangeShop(shop_id=shop.id, change=ShopChange(name="Late"), expected_version=2)
    assert (await refused("version_changed", ask(stale, founder))).status == 412
    announced = await events(process, founder, "accounts.shop_changed")
    assert [event["shop"]["version"] for event in announced] == [1, 2, 3]


@pytest.mark.feature("ACC-3")
async def test_shops_form_a_tree(ask: Speak, founder: Caller, rival: Caller) -> None:
    top = await ask(draft("top"), founder)
    middle = await ask(draft("middle", parent_id=top.id, strict_pricing=True), founder)
    bottom = await ask(draft("bottom", parent_id=middle.id), founder)
    assert (middle.parent_id, middle.strict_pricing) == (top.id, True)
    for above, below in ((top, top), (top, middle), (top, bottom), (middle, bottom)):
        message = ChangeShop(shop_id=above.id, change=ShopChange(parent_id=below.id))
        await refused("shop_would_be_its_own_ancestor", ask(message, founder))
    await refused("parent_shop_not_found", ask(draft("x", parent_id=new_id()), founder))
    await refused("parent_shop_not_found", ask(draft("x", parent_id=top.id), rival))
    await refused("shop_has_sub_shops", ask(RemoveShop(shop_id=middle.id), founder))
    moved = await ask(ChangeShop(shop_id=bottom.id, change=ShopChange(parent_id=None)), founder)
    assert moved.parent_id is None


@pytest.mark.feature("ACC-3")
async def test_two_moves_at_once_make_no_circle(ask: Speak, founder: Caller) -> None:
    one, other = await ask(draft("one"), founder), await ask(draft("other"), founder)
    moves = [
        ask(ChangeShop(shop_id=one.id, change=ShopChange(parent_id=other.id)), founder),
        ask(ChangeShop(shop_id=other.id, change=ShopChange(parent_id=one.id)), founder),
    ]
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["CarriedError", "Shop"]


@pytest.mark.feature("ACC-2")
async def test_a_shop_is_closed_for_good(process: topology.Surrounded, ask: Speak, founder: Caller) -> None:
    shop = await ask(draft(), founder)
    await refused("version_changed", ask(RemoveShop(shop_id=shop.id, expected_version=7), founder))
    await ask(RemoveShop(shop_id=shop.id, expected_version=1), founder)
    await refused("shop_not_found", ask(GetShop(shop_id=shop.id), founder))
    assert await events(process, founder, "accounts.shop_removed") == [{"shop_id": str(shop.id)}]


@pytest.mark.feature("ACC-1", "ACC-2")
async def test_another_tenants_shop_does_not_exist(ask: Speak, founder: Caller, rival: Caller) -> None:
    shop = await ask(draft(), founder)
    for message in (
        GetShop(shop_id=shop.id),
        ChangeShop(shop_id=shop.id, change=ShopChange(name="Mine")),
        RemoveShop(shop_id=shop.id),
    ):
        assert (await refused("shop_not_found", ask(message, rival))).status == 404
    assert (await ask(ListShops(), rival)).items == []


@pytest.mark.feature("ACC-3", "ACC-5")
async def test_somebody_limited_to_a_shop_sees_and_makes_no_other(ask: Speak, founder: Caller) -> None:
    mine, other = await ask(draft("mine"), founder), await ask(draft("other"), founder)
    limited = caller(founder.organization_id, shop_ids=frozenset({mine.id}))
    assert [shop.code for shop in (await ask(ListShops(), limited)).items] == ["mine"]
    await refused("shop_not_found", ask(GetShop(shop_id=other.id), limited))
    await refused("shop_not_found", ask(ChangeShop(shop_id=other.id, change=ShopChange(name="x")), limited))
    await refused("limited_to_shops", ask(draft("new"), limited))
    await refused("parent_shop_not_found", ask(draft("new", parent_id=other.id), limited))
    below = await ask(draft("below", parent_id=mine.id), limited)
    reaching = caller(founder.organization_id, shop_ids=frozenset({mine.id, below.id}))
    raised = ChangeShop(shop_id=below.id, change=ShopChange(parent_id=None))
    await refused("limited_to_shops", ask(raised, reaching))


@pytest.mark.feature("ACC-2", "GAT-1")
async def test_shops_are_listed_page_by_page(ask: Speak, founder: Caller) -> None:
    for number in range(5):
        await ask(draft(f"shop-{number}"), founder)
    seen, after = [], None
    while True:
        page = await ask(ListShops(first=2, after=after), founder)
        seen += [shop.code for shop in page.items]
        if (after := page.next) is None:
            break
    assert seen == [f"shop-{number}" for number in range(5)]
    assert [shop.code for shop in (await ask(ListShops(code="shop-3"), founder)).items] == ["shop-3"]
    await refused("invalid_cursor", ask(ListShops(after="!!!"), founder))
