"""Price lists, and the prices in one of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.errors import EndsBeforeItStarts, PriceListChangedSince, PricesRefused
from services.catalog.models import PriceListRow
from services.catalog.repository import catalog, prices, shops
from services.catalog.repository.prices import NewPrice, PricesWritten
from shared import clock
from shared.contracts.catalog.pricing import Price, PriceChanges, PriceDraft, PriceList, PriceListChange, PriceListDraft
from shared.contracts.inventory.messages import FindCentres
from shared.identifiers import new_id
from shared.money import Money, exponent
from shared.unit_of_work import UnitOfWork

# Beyond any price; the sum of a large order of it still fits.
LARGEST_AMOUNT = 10**15
_CHANGEABLE = ("name", "customer_group", "starts_at", "ends_at")


async def create_list(uow: UnitOfWork, draft: PriceListDraft) -> PriceList:
    """Raises ShopNotFound, UnknownCurrency, EndsBeforeItStarts."""
    shop = await shops.get_by_code(uow, draft.shop)
    currency = draft.currency or shop.currency
    exponent(currency)
    _check_dates(draft.starts_at, draft.ends_at)
    row = PriceListRow(
        organization_id=uow.organization_id,
        id=new_id(),
        shop_id=shop.id,
        currency=currency,
        **draft.model_dump(include=set(_CHANGEABLE)),
    )
    session = await uow.session()
    session.add(row)
    await session.flush()
    made = list_shape({**row.model_dump(), "shop": shop.code})
    _plan_turns_of_list(uow, made)
    uow.audit("price_list.create", "price_list", row.id, after=_description(made))
    return made


async def get_list(uow: UnitOfWork, price_list_id: UUID) -> PriceList:
    """Raises PriceListNotFound."""
    return list_shape(await prices.get_list(uow, price_list_id))


async def update_list(uow: UnitOfWork, price_list_id: UUID, change: PriceListChange, version: int | None) -> PriceList:
    """Raises PriceListNotFound, PriceListChangedSince, EndsBeforeItStarts. What changes nothing counts as nothing."""
    before = await _locked(uow, price_list_id, version)
    after = before.model_copy(update=change.given())
    _check_dates(after.starts_at, after.ends_at)
    if after == before:
        return before
    await uow.execute(
        "UPDATE price_lists SET name = $2, customer_group = $3, starts_at = $4, ends_at = $5, version = version + 1"
        " WHERE id = $1",
        price_list_id,
        *(getattr(after, name) for name in _CHANGEABLE),
    )
    uow.audit("price_list.change", "price_list", price_list_id, before=_description(before), after=_description(after))
    if _description(before) | {"name": ""} != _description(after) | {"name": ""}:
        _plan_turns_of_list(uow, after)
        await _announce_list(uow, price_list_id)
    return after.model_copy(update={"version": before.version + 1})


async def delete_list(uow: UnitOfWork, price_list_id: UUID, version: int | None) -> None:
    """Raises PriceListNotFound, PriceListChangedSince."""
    before = await _locked(uow, price_list_id, version)
    await _announce_list(uow, price_list_id)
    await prices.remove_list(uow, price_list_id)
    uow.audit("price_list.delete", "price_list", price_list_id, before=_description(before))


async def turn(uow: UnitOfWork, price_list_id: UUID, at: datetime) -> None:
    """A list, or some of its prices, begin or end to apply at this moment, unless that was changed in the meantime."""
    await catalog.lock(uow)
    price_list = (await prices.list_named(uow, [price_list_id])).get(price_list_id)
    if price_list is None:
        return
    if at in (price_list["starts_at"], price_list["ends_at"]):
        product_ids = await prices.product_ids_of_list(uow, price_list_id)
    else:
        product_ids = await prices.product_ids_that_turn(uow, price_list_id, at)
    await prices.announce(uow, price_list["shop_id"], product_ids)
    await plan_turns_of_prices(uow, [price_list_id], at)


async def plan_turns_of_prices(uow: UnitOfWork, price_list_ids: Iterable[UUID], after: datetime) -> None:
    """Come back when the next price of each list begins or ends to apply; that turn plans the one after it."""
    for price_list_id, at in (await prices.next_turns(uow, price_list_ids, after)).items():
        # Past already when the last one came late: then at once.
        _plan_turn(uow, price_list_id, at)


def _plan_turns_of_list(uow: UnitOfWork, price_list: PriceList) -> None:
    for at in (price_list.starts_at, price_list.ends_at):
        if at is not None and at > clock.now():
            _plan_turn(uow, price_list.id, at)


def _plan_turn(uow: UnitOfWork, price_list_id: UUID, at: datetime) -> None:
    payload = {"price_list_id": str(price_list_id), "at": at.isoformat()}
    uow.defer("price_list_turns", payload, due_at=at, key=f"{price_list_id}@{at.timestamp()}")


async def _locked(uow: UnitOfWork, price_list_id: UUID, version: int | None) -> PriceList:
    """The list, which nobody else changes now. Raises PriceListNotFound, PriceListChangedSince."""
    await catalog.lock(uow)
    found = await get_list(uow, price_list_id)
    if version is not None and version != found.version:
        raise PriceListChangedSince(f"The price list has version {found.version} now, not {version}: read it again.")
    return found


async def _announce_list(uow: UnitOfWork, price_list_id: UUID) -> None:
    shop_id = (await prices.get_list(uow, price_list_id))["shop_id"]
    await prices.announce(uow, shop_id, await prices.product_ids_of_list(uow, price_list_id))


def _check_dates(starts_at: datetime | None, ends_at: datetime | None) -> None:
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise EndsBeforeItStarts("The list would end before it starts.")


def _description(price_list: PriceList) -> dict[str, Any]:
    return price_list.model_dump(mode="json", include={"shop", "currency", *_CHANGEABLE})


def list_shape(row: Mapping[str, Any]) -> PriceList:
    return PriceList(**{name: row[name] for name in PriceList.model_fields})


# --- prices of one list


async def set_prices(uow: UnitOfWork, price_list_id: UUID, drafts: Sequence[PriceDraft]) -> PriceChanges:
    """Set and remove prices, all or none. Raises PriceListNotFound, PricesRefused."""
    centres = await known_centres(uow, (draft.centre for draft in drafts))
    await catalog.lock(uow)
    price_list = await prices.get_list(uow, price_list_id)
    known = await prices.variant_ids(uow, [draft.sku for draft in drafts])
    _check(drafts, known, centres, price_list["currency"])
    written = await prices.write(uow, price_list_id, [_new_price(draft, known) for draft in drafts])
    await follow_up(uow, written, {price_list_id: price_list["shop_id"]}, known)
    return changes(written, len(drafts))


async def known_centres(uow: UnitOfWork, codes: Iterable[str | None]) -> set[str]:
    """Which of these are fulfilment centres. Inventory is asked when any is named: before anything is read here."""
    named = {code for code in codes if code is not None}
    return set((await uow.ask(FindCentres(codes=sorted(named)))).codes) if named else set()


async def follow_up(
    uow: UnitOfWork, written: PricesWritten, shop_ids: Mapping[UUID, UUID], known: Mapping[str, Any]
) -> None:
    """Announce prices that were written, by shop, plan the turns of those with dates, and keep who did it."""
    products = {row["id"]: row["product_id"] for row in known.values()}
    changed: dict[UUID, set[UUID]] = {}
    for price_list_id, variant_ids in written.variants_of_lists.items():
        changed.setdefault(shop_ids[price_list_id], set()).update(products[variant_id] for variant_id in variant_ids)
        uow.audit("prices.change", "price_list", price_list_id, after={"variants": len(variant_ids)})
    for shop_id, product_ids in changed.items():
        await prices.announce(uow, shop_id, sorted(product_ids))
    await plan_turns_of_prices(uow, written.variants_of_lists, clock.now())


def changes(written: PricesWritten, rows: int) -> PriceChanges:
    return PriceChanges(
        inserted=written.inserted,
        updated=written.updated,
        removed=written.removed,
        unchanged=rows - written.inserted - written.updated - written.removed,
    )


def _check(drafts: Sequence[PriceDraft], known: Mapping[str, Any], centres: set[str], currency: str) -> None:
    seen: set[tuple[object, ...]] = set()
    refused: list[dict[str, Any]] = []
    for index, draft in enumerate(drafts):
        fault = _fault(draft, known, centres, currency)
        key = draft.sku, draft.minimum_quantity, draft.centre, draft.starts_at
        if key in seen:
            fault = "duplicate_sku", "The same SKU and quantity is given twice."
        seen.add(key)
        if fault:
            refused.append({"pointer": f"/prices/{index}", "sku": draft.sku, "code": fault[0], "message": fault[1]})
    if refused:
        raise PricesRefused(f"{len(refused)} of {len(drafts)} prices cannot be taken; none was.", refused[:100])


def _fault(draft: PriceDraft, known: Mapping[str, Any], centres: set[str], currency: str) -> tuple[str, str] | None:
    if draft.sku not in known:
        return "unknown_sku", "There is no variant with this SKU."
    if draft.centre is not None and draft.centre not in centres:
        return "centre_not_found", f"There is no fulfilment centre with the code '{draft.centre}'."
    if (draft.price is None and draft.list_price is not None) or (draft.on_request and draft.price is not None):
        return "contradictory_price", "A price on request has no amount; without a price there is no list price."
    if draft.starts_at is not None and draft.ends_at is not None and draft.ends_at <= draft.starts_at:
        return "ends_before_it_starts", "The price would end before it starts."
    for money in (draft.price, draft.list_price):
        if money is None:
            continue
        if money.currency != currency:
            return "currency_mismatch", f"The list is in {currency}, this price in {money.currency}."
        if not 0 <= money.amount <= LARGEST_AMOUNT:
            return "invalid_price", "A price is zero or more, in minor units."
    return None


def _new_price(draft: PriceDraft, known: Mapping[str, Any]) -> NewPrice:
    return NewPrice(
        known[draft.sku]["id"],
        draft.minimum_quantity,
        None if draft.price is None else draft.price.amount,
        None if draft.list_price is None else draft.list_price.amount,
        draft.on_request,
        draft.centre,
        draft.starts_at,
        draft.ends_at,
    )


def price_shape(row: Mapping[str, Any], currency: str) -> Price:
    return Price(
        sku=row["sku"],
        minimum_quantity=row["minimum_quantity"],
        price=money(row["price"], currency),
        list_price=money(row["list_price"], currency),
        on_request=row["price"] is None,
        centre=row["centre"] or None,
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
    )


def money(amount: int | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount=amount, currency=currency)
