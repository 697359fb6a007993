"""What an import takes away: fields whose cells are empty, products and prices that it is told to.

Reads the rows as staging.py has staged them, in the same transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.catalog.repository import further_fields
from shared.contracts.catalog.events import IDS_PER_EVENT, ProductsChanged
from shared.impex.profiles.base import ATTRIBUTE
from shared.unit_of_work import UnitOfWork

# What an empty cell makes of a field.
_EMPTY_OF_PRODUCT: Mapping[str, str] = {
    "description_html": "''",
    "brand": "NULL",
    "product_type": "NULL",
    "tags": "'{}'",
    "seo_title": "NULL",
    "seo_description": "NULL",
    "images": "'[]'",
}
_EMPTY_OF_VARIANT: Mapping[str, str] = dict.fromkeys(
    ("barcode", "mpn", "weight_grams", "tax_code", "image_url"), "NULL"
)
_COLUMN_OF = {"tax_code": "tax_class"}


@dataclass(frozen=True, slots=True)
class Emptied:
    """Products and variants that lost something, and the products of both."""

    products: set[UUID]
    variants: set[UUID]
    of_products: set[UUID]


async def empty_fields(
    uow: UnitOfWork, fields: frozenset[str], columns: frozenset[str], languages: Mapping[str, Collection[str]]
) -> Emptied:
    """Empty what the file has a column for and no value. `columns` are the profile's own names of the columns.

    A row that only adds to a product which the file does not describe says nothing of the product's own fields. A
    product stays where it stands when the file names no category for it: in none at all it would not be sold.
    """
    described = "s.title IS NOT NULL" if "title" in fields else "true"
    said = {name: f"coalesce(s.{name}, {empty})" for name, empty in _EMPTY_OF_PRODUCT.items() if name in fields}
    if "attributes" in columns:
        said["attributes"] = "s.attributes"
    elif named := [name.removeprefix(ATTRIBUTE) for name in columns if name.startswith(ATTRIBUTE)]:
        said["attributes"] = f"(t.attributes - {_array(named)}) || s.attributes"
    said |= further_fields.emptied_of_products(fields, languages)
    products = await _empty(uow, "products", said, f"NOT s.is_new AND {described}", "id")
    given = {_COLUMN_OF.get(name, name): empty for name, empty in _EMPTY_OF_VARIANT.items() if name in fields}
    said = {name: f"coalesce(s.{name}, {empty})" for name, empty in given.items()}
    if "weight_grams" in said:
        # The merchant's own unit goes with the weight.
        for name in ("weight_value", "weight_unit"):
            said[name] = f"CASE WHEN s.weight_grams IS NOT NULL THEN t.{name} END"
    said |= further_fields.emptied_of_variants(fields)
    if "weight" in fields:
        said["weight_grams"] = "s.weight_grams"
    variants = await _empty(uow, "variants", said, "NOT s.is_new", "product_id")
    moved = await _leave_categories(uow, described) if "categories" in fields else set()
    own = set(products) | moved
    return Emptied(own, set(variants), own | set(variants.values()))


def _array(words: Iterable[str]) -> str:
    quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in words)
    return f"ARRAY[{quoted}]::text[]"


async def _empty(uow: UnitOfWork, table: str, said: Mapping[str, str], where: str, product: str) -> dict[UUID, UUID]:
    if not said:
        return {}
    assignments = ", ".join(f"{name} = {value}" for name, value in said.items())
    stored = ", ".join(f"t.{name}" for name in said)
    rows = await uow.fetch(
        f"UPDATE {table} t SET {assignments} FROM staged_{table} s WHERE t.id = s.id AND {where}"  # noqa: S608
        f" AND ROW({stored}) IS DISTINCT FROM ROW({', '.join(said.values())}) RETURNING t.id, t.{product} AS product_id"
    )
    return {row["id"]: row["product_id"] for row in rows}


async def _leave_categories(uow: UnitOfWork, described: str) -> set[UUID]:
    rows = await uow.fetch(
        "DELETE FROM product_categories c USING staged_products s WHERE c.product_id = s.id AND NOT s.is_new"  # noqa: S608
        f" AND {described} AND EXISTS (SELECT FROM staged_categories k WHERE k.product_id = s.id)"
        " AND NOT EXISTS (SELECT FROM staged_categories k WHERE k.product_id = s.id AND k.category_id = c.category_id)"
        " RETURNING c.product_id"
    )
    return {row["product_id"] for row in rows}


async def remove_empty_prices(uow: UnitOfWork, price_list_id: UUID, kept: Iterable[UUID]) -> list[UUID]:
    """Remove the price of each staged variant whose price cell is empty, but of those `kept`; each one's product."""
    rows = await uow.fetch(
        "DELETE FROM prices p USING staged_variants s WHERE p.price_list_id = $1 AND p.variant_id = s.id"
        " AND p.minimum_quantity = 1 AND p.centre = '' AND p.starts_at = '-infinity' AND s.price IS NULL"
        " AND s.id <> ALL($2) RETURNING s.product_id",
        price_list_id,
        list(kept),
    )
    return [row["product_id"] for row in rows]


async def count_changes(uow: UnitOfWork, product_ids: set[UUID]) -> None:
    """Products that changed in this transaction beyond what it has counted have another version."""
    await uow.execute(
        "UPDATE products SET version = version + 1, updated_at = now() WHERE id = ANY($1)", list(product_ids)
    )
    announce(uow, product_ids)


def announce(uow: UnitOfWork, product_ids: Iterable[UUID]) -> None:
    ids = sorted(product_ids)
    for start in range(0, len(ids), IDS_PER_EVENT):
        uow.record(ProductsChanged(product_ids=ids[start : start + IDS_PER_EVENT]))


# --- products that go


async def archive(uow: UnitOfWork, slugs: list[str]) -> tuple[set[str], int]:
    """Archive products by their slugs; returns the slugs that are known, and how many were not archived yet."""
    known = await uow.fetch("SELECT slug FROM products WHERE slug = ANY($1)", slugs)
    rows = await uow.fetch(
        "UPDATE products SET status = 'archived', version = version + 1, updated_at = now()"
        " WHERE slug = ANY($1) AND status <> 'archived' RETURNING id",
        slugs,
    )
    announce(uow, (row["id"] for row in rows))
    return {row["slug"] for row in known}, len(rows)


async def note_named(uow: UnitOfWork, import_id: UUID) -> None:
    """Remember which products a portion of a file named."""
    await uow.execute(
        "INSERT INTO import_named (organization_id, import_id, thing_id) SELECT $1, $2, id FROM staged_products"
        " ON CONFLICT DO NOTHING",
        uow.organization_id,
        import_id,
    )


async def archive_unnamed(uow: UnitOfWork, import_id: UUID, most: int) -> int:
    """Archive up to `most` products that were there before the import and that its file does not name."""
    rows = await uow.fetch(
        "UPDATE products SET status = 'archived', version = version + 1, updated_at = now() WHERE id IN ("
        " SELECT p.id FROM products p JOIN imports i ON i.id = $1 AND p.created_at < i.created_at"
        " WHERE p.status <> 'archived' AND NOT EXISTS (SELECT FROM import_named n"
        " WHERE n.import_id = $1 AND n.thing_id = p.id) LIMIT $2) RETURNING id",
        import_id,
        most,
    )
    announce(uow, (row["id"] for row in rows))
    return len(rows)


async def count_active(uow: UnitOfWork, slugs: list[str] | None = None, skus: Sequence[str] = ()) -> int:
    """How many products are active: of those with these slugs or SKUs, or of all."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM products WHERE status = 'active' AND ($1::text[] IS NULL OR slug = ANY($1)"
        " OR id IN (SELECT product_id FROM variants WHERE sku = ANY($2)))",
        slugs,
        list(skus),
    )
    return count


async def count_unarchived(uow: UnitOfWork, slugs: list[str] | None = None) -> int:
    """How many products are not archived: of these, or of all."""
    count: int = await uow.fetchval(
        "SELECT count(*) FROM products WHERE status <> 'archived' AND ($1::text[] IS NULL OR slug = ANY($1))", slugs
    )
    return count


async def known_slugs(uow: UnitOfWork, slugs: list[str]) -> set[str]:
    return {row["slug"] for row in await uow.fetch("SELECT slug FROM products WHERE slug = ANY($1)", slugs)}
