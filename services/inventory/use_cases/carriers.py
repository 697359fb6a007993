"""Carriers, shipping methods, and how a cart can travel."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.errors import (
    CarrierChangedSince,
    CarrierCodeTaken,
    CarrierNotFound,
    CentreNotFound,
    ShippingMethodChangedSince,
    ShippingMethodCodeTaken,
    ShippingMethodNotFound,
    UnknownService,
)
from services.inventory.repository import carriers as stored
from services.inventory.repository import shop_centres
from services.inventory.shipping_prices import price_of
from shared.bus.envelope import ShopNotFound
from shared.contracts.base import Page
from shared.contracts.inventory.carriers import (
    Carrier,
    CarrierChange,
    CarrierDraft,
    ListShippingMethods,
    ListShopShippingMethods,
    ShippingMethod,
    ShippingMethodChange,
    ShippingMethodDraft,
    ShippingOffer,
    ShippingOffers,
    ShippingRefusal,
)
from shared.money import Money, exponent
from shared.pagination import cursor_for, cursor_values
from shared.unit_of_work import UnitOfWork


async def create(uow: UnitOfWork, draft: CarrierDraft) -> Carrier:
    """Raises CarrierCodeTaken."""
    carrier_id = await stored.add_carrier(uow, draft.model_dump())
    if carrier_id is None:
        raise CarrierCodeTaken(f"Another carrier has the code '{draft.code}'.")
    uow.audit("carrier.create", "carrier", carrier_id, after=draft.model_dump(mode="json"))
    return await get(uow, carrier_id)


async def change(
    uow: UnitOfWork, carrier_id: UUID, wanted: CarrierChange, expected_version: int | None = None
) -> Carrier:
    """Raises CarrierNotFound, CarrierChangedSince."""
    row = await stored.find_carrier(uow, carrier_id, lock=True)
    if row is None:
        raise CarrierNotFound("There is no such carrier.")
    if expected_version is not None and row["version"] != expected_version:
        raise CarrierChangedSince(f"The carrier has version {row['version']} now, not {expected_version}.")
    await stored.change_carrier(uow, carrier_id, wanted.model_dump())
    uow.audit("carrier.change", "carrier", carrier_id, after=wanted.model_dump(mode="json"))
    return await get(uow, carrier_id)


async def get(uow: UnitOfWork, carrier_id: UUID) -> Carrier:
    """Raises CarrierNotFound."""
    row = await stored.find_carrier(uow, carrier_id)
    if row is None:
        raise CarrierNotFound("There is no such carrier.")
    return stored.carrier_shape(row)


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[Carrier]:
    position = cursor_values(after, 1)
    rows = await stored.list_carriers(uow, str(position[0]) if position else None, first + 1)
    following = cursor_for(rows[first - 1]["code"]) if len(rows) > first else None
    return Page(items=[stored.carrier_shape(row) for row in rows[:first]], next=following)


# --- shipping methods


async def create_method(uow: UnitOfWork, draft: ShippingMethodDraft) -> ShippingMethod:
    """Raises ShippingMethodCodeTaken, CarrierNotFound, UnknownService, UnknownCurrency, ShopNotFound,
    CentreNotFound."""
    wanted = draft.model_dump()
    columns = await _columns(uow, wanted, {"carrier": None, "service": None})
    method_id = await stored.add_method(uow, columns)
    if method_id is None:
        raise ShippingMethodCodeTaken(f"Another shipping method has the code '{draft.code}'.")
    await _assign(uow, method_id, wanted)
    uow.audit("shipping_method.create", "shipping_method", method_id, after=draft.model_dump(mode="json"))
    return await get_method(uow, method_id)


async def change_method(
    uow: UnitOfWork, method_id: UUID, change: ShippingMethodChange, expected_version: int | None = None
) -> ShippingMethod:
    """Raises ShippingMethodNotFound, ShippingMethodChangedSince, CarrierNotFound, UnknownService, UnknownCurrency,
    ShopNotFound, CentreNotFound."""
    row = await stored.find_method(uow, method_id, lock=True)
    if row is None:
        raise ShippingMethodNotFound("There is no such shipping method.")
    if expected_version is not None and row["version"] != expected_version:
        raise ShippingMethodChangedSince(f"It has version {row['version']} now, not {expected_version}.")
    wanted = change.model_dump()
    if wanted.get("price", {}) is None:
        wanted.pop("price")
    await stored.change_method(uow, method_id, await _columns(uow, wanted, row))
    await _assign(uow, method_id, wanted)
    uow.audit("shipping_method.change", "shipping_method", method_id, after=change.model_dump(mode="json"))
    return await get_method(uow, method_id)


async def _columns(uow: UnitOfWork, wanted: dict[str, Any], before: Any) -> dict[str, Any]:
    """What of a method its own table keeps. Raises CarrierNotFound, UnknownService, UnknownCurrency."""
    columns = {name: value for name, value in wanted.items() if name not in ("shops", "centres", "carrier")}
    if "price" in columns:
        exponent(columns["price"]["currency"])
    if "carrier" in wanted or "service" in wanted:
        carrier = await _carrier(uow, wanted.get("carrier", before["carrier"]))
        _require_service(carrier, wanted.get("service", before["service"]))
        columns["carrier_id"] = None if carrier is None else carrier.id
    return columns


async def _carrier(uow: UnitOfWork, code: str | None) -> Carrier | None:
    if code is None:
        return None
    row = await stored.find_carrier_by_code(uow, code)
    if row is None:
        raise CarrierNotFound(f"There is no carrier with the code '{code}'.")
    return stored.carrier_shape(row)


def _require_service(carrier: Carrier | None, service: str | None) -> None:
    known = () if carrier is None else [each.code for each in carrier.services]
    if service is not None and service not in known:
        raise UnknownService(f"The carrier has no service '{service}'; it has {', '.join(known) or 'none'}.")


async def _assign(uow: UnitOfWork, method_id: UUID, wanted: dict[str, Any]) -> None:
    """Raises ShopNotFound, CentreNotFound."""
    if "shops" in wanted:
        codes = sorted(set(wanted["shops"]))
        await stored.set_shops(uow, method_id, [await _shop_id(uow, code) for code in codes])
    if "centres" in wanted:
        known = await shop_centres.get_centre_ids(uow)
        missing = [code for code in wanted["centres"] if code not in known]
        if missing:
            raise CentreNotFound(f"There is no fulfilment centre with the code '{missing[0]}'.")
        await stored.set_centres(uow, method_id, sorted({known[code] for code in wanted["centres"]}))


async def _shop_id(uow: UnitOfWork, code: str) -> UUID:
    row = await shop_centres.SHOPS.find_by_code(uow, code)
    if row is None or not uow.caller.sees_shop(row["id"]):
        raise ShopNotFound(f"There is no shop with the code '{code}'.")
    shop_id: UUID = row["id"]
    return shop_id


async def get_method(uow: UnitOfWork, method_id: UUID) -> ShippingMethod:
    """Raises ShippingMethodNotFound."""
    row = await stored.find_method(uow, method_id)
    if row is None:
        raise ShippingMethodNotFound("There is no such shipping method.")
    return stored.method_shape(row)


async def list_methods(uow: UnitOfWork, message: ListShippingMethods) -> Page[ShippingMethod]:
    """Raises ShopNotFound."""
    position = cursor_values(message.after, 1)
    shop_id = None if message.shop is None else await _shop_id(uow, message.shop)
    rows = await stored.list_methods(uow, shop_id, str(position[0]) if position else None, message.first + 1)
    following = cursor_for(rows[message.first - 1]["code"]) if len(rows) > message.first else None
    return Page(items=[stored.method_shape(row) for row in rows[: message.first]], next=following)


# --- what a cart is offered


async def list_of_shop(uow: UnitOfWork, message: ListShopShippingMethods) -> ShippingOffers:
    """Raises ShopNotFound, UnknownCurrency."""
    exponent(message.currency)
    shop_id = await _shop_id(uow, message.shop)
    total = Money(amount=message.total, currency=message.currency)
    return await offer(uow, shop_id, total, message.weight_grams, message.country)


async def offer(
    uow: UnitOfWork, shop_id: UUID, total: Money, weight_grams: int | None, country: str | None
) -> ShippingOffers:
    """How a cart can travel from a shop, cheapest first, and why other methods of the shop do not carry it."""
    serving = await shop_centres.list_serving(uow, shop_id) or []
    rows = await stored.list_offered(uow, shop_id, [each.centre_id for each in serving if each.dispatches])
    return weigh(_methods(rows), total, weight_grams, country)


def _methods(rows: Sequence[asyncpg.Record]) -> list[ShippingMethod]:
    return [stored.method_shape(row) for row in rows]


def weigh(
    methods: Sequence[ShippingMethod], total: Money, weight_grams: int | None, country: str | None
) -> ShippingOffers:
    """Pure: what each of these methods says to a cart."""
    offers: list[ShippingOffer] = []
    refused: list[ShippingRefusal] = []
    for method in methods:
        price = _priced(method, total, weight_grams, country)
        if isinstance(price, str):
            refused.append(ShippingRefusal(code=method.code, reason=price))
        else:
            money = Money(amount=price, currency=total.currency)
            known = method.model_dump(include={"code", "name", "carrier", "service"})
            offers.append(ShippingOffer(**known, price=money))
    return ShippingOffers(items=sorted(offers, key=lambda each: (each.price.amount, each.code)), refused=refused)


def _priced(method: ShippingMethod, total: Money, weight_grams: int | None, country: str | None) -> int | str:
    """The price, or why there is none."""
    if method.price.currency != total.currency:
        return "wrong_currency"
    if method.countries and country is None:
        return "country_unknown"
    if method.countries and country not in method.countries:
        return "country_not_served"
    return price_of(method.price, total.amount, weight_grams)
