"""What channels have of products, who owns which field there: read and written in sets."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.catalog.repository.categories import BRANCH
from shared.contracts.catalog.shapes import ContentOwner, OrderLimits
from shared.money import Money
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of a product or variant in one channel. `values` are kept whoever owns them.

    The channel owns only what it has a value for; what neither it nor the master owns is inherited.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    of_channel: frozenset[str] = frozenset()
    of_master: frozenset[str] = frozenset()

    def owner(self, name: str) -> ContentOwner:
        if name in self.of_channel:
            return "channel"
        return "master" if name in self.of_master else "parent"

    def with_values(self, given: Mapping[str, Any]) -> "Fields":
        """With values that the channel wrote: it owns them from now on, except what was handed to the master."""
        taken = self.of_channel | (given.keys() - self.of_master)
        return replace(self, values={**self.values, **given}, of_channel=taken)

    def handed(self, names: Collection[str], to: ContentOwner, shown: Mapping[str, Any]) -> "Fields":
        """With these fields owned by `to`. What the channel gets without ever having had a value, it has as `shown`."""
        mine, theirs = self.of_channel.difference(names), self.of_master.difference(names)
        match to:
            case "channel":
                taken = {name: shown[name] for name in names if name not in self.values}
                return Fields({**self.values, **taken}, mine.union(names), theirs)
            case "master":
                return replace(self, of_channel=mine, of_master=theirs.union(names))
        return replace(self, of_channel=mine, of_master=theirs)


NOTHING = Fields()


@dataclass(frozen=True, slots=True)
class KnownContent:
    """What one channel has of a product and its variants, by their ids. Version 0: nothing is stored yet."""

    product_id: UUID
    product: Fields = NOTHING
    variants: Mapping[UUID, Fields] = field(default_factory=dict)
    version: int = 0
    updated_at: datetime | None = None


async def of_products(
    uow: UnitOfWork, channel_ids: Sequence[UUID], product_ids: Sequence[UUID]
) -> dict[UUID, dict[UUID, KnownContent]]:
    """By product and channel. One statement; none for no channel."""
    found: dict[UUID, dict[UUID, KnownContent]] = {}
    if channel_ids:
        for row in await uow.fetch(_CONTENTS, list(product_ids), list(channel_ids)):
            found.setdefault(row["product_id"], {})[row["channel_id"]] = _known(row)
    return found


_CONTENTS = """
SELECT c.*,
    ARRAY(SELECT m.category_id FROM channel_product_categories m
        WHERE m.product_id = c.product_id AND m.channel_id = c.channel_id ORDER BY m.category_id) AS category_ids,
    ARRAY(SELECT to_json(v)::text FROM channel_variants v
        WHERE v.product_id = c.product_id AND v.channel_id = c.channel_id) AS variants
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT * FROM channel_products c WHERE c.product_id = asked.id AND c.channel_id = ANY($2::uuid[]) OFFSET 0
) c
"""


def _known(row: asyncpg.Record) -> KnownContent:
    values = {name: row[name] for name in row["given"]}
    if "images" in values:
        values["images"] = orjson.loads(row["images"])
    variants = [orjson.loads(text) for text in row["variants"]]
    return KnownContent(
        row["product_id"],
        _fields(row, values),
        {UUID(variant["variant_id"]): _fields(variant, _variant_values(variant)) for variant in variants},
        row["version"],
        row["updated_at"],
    )


def _fields(row: Mapping[str, Any], values: Mapping[str, Any]) -> Fields:
    return Fields(values, frozenset(row["channel_fields"]), frozenset(row["master_fields"]))


def _variant_values(row: Mapping[str, Any]) -> dict[str, Any]:
    made = {"list_price": _list_price, "order_limits": order_limits}
    return {name: made[name](row) if name in made else row[name] for name in row["given"]}


def _list_price(row: Mapping[str, Any]) -> Money | None:
    if row["list_price"] is None:
        return None
    return Money.model_construct(amount=row["list_price"], currency=row["list_price_currency"])


def order_limits(row: Mapping[str, Any]) -> OrderLimits | None:
    """The limits in a row's three columns; None where all are empty."""
    minimum, maximum, step = row["order_minimum"], row["order_maximum"], row["order_step"]
    if not (minimum or maximum or step):
        return None
    return OrderLimits.model_construct(minimum=minimum, maximum=maximum, step=step)


async def store(uow: UnitOfWork, shop_id: UUID, connection_id: UUID | None, contents: Sequence[KnownContent]) -> None:
    """Keep these as what a shop, or where one is named a connection of it, has of products, and count a change of each.

    Four statements for any number.
    """
    channel_id = connection_id or shop_id
    product_ids = [content.product_id for content in contents]
    of_shop = shop_id if connection_id is None else None
    rows = _json(map(_product_row, contents))
    await uow.execute(_STORE_PRODUCTS, uow.organization_id, of_shop, connection_id, rows)
    places = [
        (content.product_id, category_id)
        for content in contents
        for category_id in content.product.values.get("category_ids", ())
    ]
    await uow.execute(_REMOVE_CATEGORIES, channel_id, product_ids, *_columns(places, 2))
    await uow.execute(_STORE_CATEGORIES, uow.organization_id, channel_id, *_columns(places, 2))
    variants = [_variant_row(content, *each) for content in contents for each in content.variants.items()]
    await uow.execute(_STORE_VARIANTS, uow.organization_id, channel_id, _json(variants))


_OWNERS = "given text[], channel_fields text[], master_fields text[]"
_PRODUCT_COLUMNS = (
    "title text, description_html text, content_html text, seo_title text, seo_description text, images jsonb,"
    f" {_OWNERS}"
)
_VARIANT_COLUMNS = (
    "list_price bigint, list_price_currency text, weight_grams integer, length_mm integer, width_mm integer,"
    f" height_mm integer, backorder text, order_minimum integer, order_maximum integer, order_step integer, {_OWNERS}"
)


def _names(columns: str) -> list[str]:
    return [column.split()[0] for column in columns.split(",")]


def _set(columns: str) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in _names(columns))


_STORE_PRODUCTS = f"""
INSERT INTO channel_products AS t
    (organization_id, shop_id, connection_id, product_id, {", ".join(_names(_PRODUCT_COLUMNS))})
SELECT $1, $2, $3, r.* FROM json_to_recordset($4::json) AS r (product_id uuid, {_PRODUCT_COLUMNS})
ON CONFLICT (organization_id, product_id, channel_id) DO UPDATE
SET {_set(_PRODUCT_COLUMNS)}, version = t.version + 1, updated_at = now()
"""  # noqa: S608
_REMOVE_CATEGORIES = (
    "DELETE FROM channel_product_categories WHERE channel_id = $1 AND product_id = ANY($2::uuid[])"
    " AND (product_id, category_id) NOT IN (SELECT * FROM unnest($3::uuid[], $4::uuid[]))"
)
_STORE_CATEGORIES = (
    "INSERT INTO channel_product_categories (organization_id, channel_id, product_id, category_id)"
    " SELECT $1, $2, * FROM unnest($3::uuid[], $4::uuid[]) ON CONFLICT DO NOTHING"
)
_STORE_VARIANTS = f"""
INSERT INTO channel_variants AS t
    (organization_id, channel_id, product_id, variant_id, {", ".join(_names(_VARIANT_COLUMNS))})
SELECT $1, $2, r.* FROM json_to_recordset($3::json) AS r (product_id uuid, variant_id uuid, {_VARIANT_COLUMNS})
ON CONFLICT (organization_id, product_id, channel_id, variant_id) DO UPDATE SET {_set(_VARIANT_COLUMNS)}
WHERE ({", ".join(f"t.{name}" for name in _names(_VARIANT_COLUMNS))})
    IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _names(_VARIANT_COLUMNS))})
"""  # noqa: S608


def _product_row(content: KnownContent) -> dict[str, Any]:
    own = content.product
    values = {name: value for name, value in own.values.items() if name != "category_ids"}
    return {"product_id": content.product_id, **values, **_owners(own)}


def _variant_row(content: KnownContent, variant_id: UUID, own: Fields) -> dict[str, Any]:
    row = {"product_id": content.product_id, "variant_id": variant_id, **own.values, **_owners(own)}
    price, limits = row.pop("list_price", None), row.pop("order_limits", None)
    if price is not None:
        row |= {"list_price": price.amount, "list_price_currency": price.currency}
    if limits is not None:
        row |= {f"order_{name}": value for name, value in limits.model_dump().items()}
    return row


def _owners(own: Fields) -> dict[str, Any]:
    return {
        "given": sorted(own.values),
        "channel_fields": sorted(own.of_channel),
        "master_fields": sorted(own.of_master),
    }


def _json(rows: Iterable[Mapping[str, Any]]) -> str:
    # asyncpg's UUIDs are a subclass, which orjson does not take.
    return orjson.dumps(list(rows), default=str).decode()


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]


async def product_ids_in_branch(uow: UnitOfWork, category_id: UUID, channel_ids: Sequence[UUID]) -> list[UUID]:
    """The products that stand in a category or below it: by the master, or because one of these channels has it so."""
    rows = await uow.fetch(
        f"{BRANCH} SELECT p.product_id FROM branch JOIN product_categories p ON p.category_id = branch.id"  # noqa: S608
        " UNION SELECT p.product_id FROM branch JOIN channel_product_categories p ON p.category_id = branch.id"
        " JOIN channel_products c USING (product_id, channel_id)"
        " WHERE p.channel_id = ANY($2::uuid[]) AND 'category_ids' = ANY (c.channel_fields)",
        [category_id],
        list(channel_ids),
    )
    return [row["product_id"] for row in rows]


async def unknown_categories(uow: UnitOfWork, category_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these do not exist."""
    wanted = set(category_ids)
    rows = await uow.fetch("SELECT id FROM categories WHERE id = ANY($1::uuid[])", list(wanted)) if wanted else []
    return wanted - {row["id"] for row in rows}


async def list_summaries(
    uow: UnitOfWork,
    *,
    channel_id: UUID | None,
    product_id: UUID | None,
    after: tuple[str, UUID, UUID] | None,
    first: int,
) -> list[asyncpg.Record]:
    """By shop, channel and product; those of the caller's shops alone, and nothing of channels that are gone."""
    return await uow.fetch(_SUMMARIES, channel_id, product_id, uow.caller.shop_limit, *(after or (None,) * 3), first)


# What was forgotten of a product is nothing to tell.
_SUMMARIES = """
SELECT s.code AS shop, c.connection_id, c.channel_id, c.product_id, c.channel_fields AS product_fields, c.version,
    c.updated_at, ARRAY(SELECT DISTINCT unnest(v.channel_fields) FROM channel_variants v
        WHERE v.product_id = c.product_id AND v.channel_id = c.channel_id ORDER BY 1) AS variant_fields
FROM channel_products c LEFT JOIN connections n ON n.id = c.connection_id
JOIN shops s ON s.id = coalesce(c.shop_id, n.shop_id)
WHERE NOT s.is_removed AND n.is_removed IS NOT TRUE
    AND ($1::uuid IS NULL OR c.channel_id = $1) AND ($2::uuid IS NULL OR c.product_id = $2)
    AND ($3::uuid[] IS NULL OR s.id = ANY($3))
    AND (c.given <> '{}' OR c.master_fields <> '{}' OR EXISTS (
        SELECT FROM channel_variants v WHERE v.product_id = c.product_id AND v.channel_id = c.channel_id
            AND (v.given <> '{}' OR v.master_fields <> '{}')))
    AND ($4::text IS NULL OR (s.code, c.channel_id, c.product_id) > ($4, $5::uuid, $6::uuid))
ORDER BY s.code, c.channel_id, c.product_id LIMIT $7
"""


async def count_of_connection(uow: UnitOfWork, connection_id: UUID) -> int:
    """Of how many products a connection has something of its own."""
    count: int = await uow.fetchval("SELECT count(*) FROM channel_products WHERE channel_id = $1", connection_id)
    return count


async def count_all(uow: UnitOfWork) -> int:
    """Of how many products in how many channels there is something."""
    count: int = await uow.fetchval("SELECT count(*) FROM channel_products")
    return count


async def drop_some_of_connection(uow: UnitOfWork, connection_id: UUID, most: int) -> int:
    """Remove what a connection has of up to so many products. Returns of how many it was."""
    rows = await uow.fetch(
        "DELETE FROM channel_products WHERE channel_id = $1 AND product_id IN"
        " (SELECT product_id FROM channel_products WHERE channel_id = $1 ORDER BY product_id LIMIT $2)"
        " RETURNING product_id",
        connection_id,
        most,
    )
    return len(rows)
