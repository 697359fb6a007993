"""Variants by themselves, found by their codes."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from services.catalog.errors import VariantNotFound
from services.catalog.repository import attributes
from services.catalog.repository.products import variant_fields
from shared.contracts.catalog.variants import VariantDetails
from shared.impex.cells import spellings
from shared.unit_of_work import UnitOfWork

_VARIANT = (
    "SELECT v.*, p.options, p.version, p.slug AS product_slug, p.title AS product_title, p.status AS product_status"
    " FROM variants v JOIN products p ON p.id = v.product_id"
)
_OWN = ("product_id", "product_slug", "product_title", "product_status", "version")


async def get(uow: UnitOfWork, variant_id: UUID) -> VariantDetails:
    """Raises VariantNotFound."""
    found = await _shaped(uow, await uow.fetch(f"{_VARIANT} WHERE v.id = $1", variant_id))
    if not found:
        raise VariantNotFound("There is no such variant.")
    return found[0]


async def list_newest(
    uow: UnitOfWork,
    *,
    sku: str | None,
    barcode: str | None,
    mpn: str | None,
    product_id: UUID | None,
    before: UUID | None,
    first: int,
) -> list[VariantDetails]:
    """Variants, newest first; a condition that is None is none. A barcode is found in any of its lengths."""
    conditions: dict[str, Any] = {
        "v.sku = ${}": sku,
        "v.mpn = ${}": mpn,
        "v.product_id = ${}": product_id,
        "v.id < ${}": before,
    }
    conditions[_HAS_BARCODE] = None if barcode is None else spellings(barcode)
    given = {sql: value for sql, value in conditions.items() if value is not None}
    wanted = " AND ".join(sql.replace("{}", str(number)) for number, sql in enumerate(given, 1))
    rows = await uow.fetch(
        f"{_VARIANT} {'WHERE ' + wanted if wanted else ''} ORDER BY v.id DESC LIMIT {int(first)}", *given.values()
    )
    return await _shaped(uow, rows)


_HAS_BARCODE = (
    "v.id IN (SELECT m.id FROM variants m WHERE m.barcode = ANY(${}::text[])"
    " UNION SELECT b.variant_id FROM variant_barcodes b WHERE b.barcode = ANY(${}::text[]))"
)


async def _shaped(uow: UnitOfWork, rows: Iterable[Any]) -> list[VariantDetails]:
    rows = list(rows)
    definitions = await attributes.definitions_for(uow, rows)
    return [
        VariantDetails.model_construct(
            **variant_fields(row, row["options"], definitions), **{name: row[name] for name in _OWN}
        )
        for row in rows
    ]
