"""Very many prices, of any lists, in one set operation: all or none, or those that can be taken."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.catalog.errors import NoRows, PricesRefused, RowsGone, TooManyRows
from services.catalog.repository import catalog, prices, shops
from services.catalog.repository.shops import KnownShop
from services.catalog.use_cases import pricing
from services.catalog.use_cases.price_rows import ReadRow, read
from shared import blobs
from shared.blobs import BlobNotFound
from shared.contracts.catalog.pricing import OnError, PriceRowError, PriceRowsChanged
from shared.identifiers import new_id
from shared.impex.json_rows import rows_of
from shared.unit_of_work import UnitOfWork

MOST_ROWS = 200_000
_MOST_ERRORS_TOLD = 1000


@dataclass(frozen=True, slots=True)
class _Target:
    """The list that a row's price goes into. `is_missing`: a shop's standard list, which is to be made."""

    id: UUID
    shop_id: UUID
    currency: str
    is_missing: bool = False


async def change_of_file(uow: UnitOfWork, key: str, on_error: OnError, *, is_document: bool) -> PriceRowsChanged:
    """As `change`, of rows in the blob store. Raises RowsGone, MalformedRows, and what that raises."""
    try:
        content = await blobs.get(uow.organization_id, key)
    except BlobNotFound:
        raise RowsGone("Send the rows again.") from None
    rows = await asyncio.to_thread(rows_of, content, is_document=is_document)
    return await change(uow, rows, on_error)


async def change(uow: UnitOfWork, raw: Sequence[Any], on_error: OnError) -> PriceRowsChanged:
    """Set and remove prices. Raises NoRows, TooManyRows; with `abort` PricesRefused when any row cannot be taken."""
    if not raw:
        raise NoRows("Send at least one row.")
    if len(raw) > MOST_ROWS:
        raise TooManyRows(f"{len(raw)} rows were sent; {MOST_ROWS} at a time.")
    # Reading and checking 100,000 rows takes longer than other requests should wait.
    rows, errors = await asyncio.to_thread(read, raw)
    centres = await pricing.known_centres(uow, (each.row.centre for each in rows))
    await catalog.lock(uow)
    targets = await _targets(uow, rows)
    known = await prices.variant_ids(uow, list({each.row.sku for each in rows}))
    good, more = await asyncio.to_thread(_checked, rows, targets, known, centres)
    errors = sorted(errors + more, key=lambda error: error.row)
    if errors and on_error == "abort":
        _refuse(errors, len(raw))
    await _make_missing(uow, {_place(each): targets[_place(each)] for each in good})
    written = await prices.merge(
        uow, ((targets[_place(each)].id, each.row.new_price(known[each.row.sku]["id"])) for each in good)
    )
    await pricing.follow_up(uow, written, {target.id: target.shop_id for target in targets.values()}, known)
    counts = pricing.changes(written, len(good))
    return PriceRowsChanged(**counts.model_dump(), rows=len(raw), failed=len(errors), errors=errors[:_MOST_ERRORS_TOLD])


def _place(each: ReadRow) -> UUID | str:
    """What a row names: a list by its id, or a shop by its code."""
    return each.row.price_list or each.row.shop or ""


async def _targets(uow: UnitOfWork, rows: Iterable[ReadRow]) -> dict[UUID | str, _Target]:
    """The lists that rows name, or mean by their shop, as far as there are any that the caller may see."""
    places = {_place(each) for each in rows}
    lists = await prices.list_named(uow, [place for place in places if isinstance(place, UUID)])
    found: dict[UUID | str, _Target] = {
        id_: _Target(id_, row["shop_id"], row["currency"]) for id_, row in lists.items()
    }
    for shop in await shops.list_by_codes(uow, [place for place in places if isinstance(place, str)]):
        found[shop.code] = await _standard(uow, shop)
    return found


async def _standard(uow: UnitOfWork, shop: KnownShop) -> _Target:
    price_list_id = await prices.find_standard_list(uow, shop)
    return _Target(price_list_id or new_id(), shop.id, shop.currency, is_missing=price_list_id is None)


async def _make_missing(uow: UnitOfWork, targets: Mapping[UUID | str, _Target]) -> None:
    missing = {place: target for place, target in targets.items() if target.is_missing}
    for shop in await shops.list_by_codes(uow, [str(place) for place in missing]):
        await prices.make_standard_list(uow, shop, missing[shop.code].id)


def _checked(
    rows: Sequence[ReadRow], targets: Mapping[UUID | str, _Target], known: Mapping[str, Any], centres: set[str]
) -> tuple[list[ReadRow], list[PriceRowError]]:
    """The rows that can be written. Of several for the same price none can: which one was meant is not known."""
    good: list[ReadRow] = []
    errors: list[PriceRowError] = []
    times = Counter(_identity(each, targets) for each in rows)
    for each in rows:
        fault = _fault(each, targets, known, centres)
        if fault is None and times[_identity(each, targets)] > 1:
            fault = (
                "duplicate_sku",
                "Several rows have a price for this SKU, quantity, centre and beginning in one list.",
            )
        if fault is None:
            good.append(each)
        else:
            errors.append(each.error(*fault))
    return good, errors


def _identity(each: ReadRow, targets: Mapping[UUID | str, _Target]) -> tuple[object, ...]:
    place, row = _place(each), each.row
    target = targets.get(place)
    return target.id if target else place, row.sku, row.minimum_quantity, row.centre, row.starts_at


def _fault(
    each: ReadRow, targets: Mapping[UUID | str, _Target], known: Mapping[str, Any], centres: set[str]
) -> tuple[str, str] | None:
    row, target = each.row, targets.get(_place(each))
    if target is None and row.price_list is not None:
        return "price_list_not_found", "There is no such price list."
    if target is None:
        return "shop_not_found", "There is no shop with this code."
    if row.sku not in known:
        return "unknown_sku", "There is no variant with this SKU."
    if row.centre is not None and row.centre not in centres:
        return "centre_not_found", f"There is no fulfilment centre with the code '{row.centre}'."
    if row.currencies - {target.currency}:
        return "currency_mismatch", f"The list is in {target.currency}."
    return None


def _refuse(errors: Sequence[PriceRowError], rows: int) -> None:
    told = [{"pointer": f"/{error.row - 1}", **error.model_dump()} for error in errors[:_MOST_ERRORS_TOLD]]
    raise PricesRefused(f"{len(errors)} of {rows} rows cannot be taken; none was.", told)
