"""What can be exported: for each group its profiles, the filters that mean something for it, and its rows."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import orjson
from pydantic import JsonValue

from services.catalog.repository import exports
from services.catalog.repository.channel_content import KnownContent
from services.catalog.repository.exports import Wanted
from services.catalog.use_cases.price_file import HEADINGS as PRICE_HEADINGS
from services.catalog.use_cases.price_file import KnownList
from shared.contracts.catalog.exports import ExportFilter
from shared.contracts.inventory.messages import CountStock, ReadStock, StockPortion
from shared.contracts.platform.exported import CountRowsOfGroup, ReadRowsOfGroup
from shared.exported import headings_of
from shared.impex.profiles.crossdock import LOCALIZED
from shared.impex.writing_products import (
    CrossdockWriter,
    Localized,
    PricePair,
    ProductToWrite,
    ProductWriter,
    VariantWriter,
    major,
)
from shared.impex.writing_shopify import ShopifyWriter
from shared.impex.writing_words import escaped_word, joined_words, path_text
from shared.money import exponent
from shared.unit_of_work import UnitOfWork

Rows = Iterable[list[str]]
CHANNEL_CONTENT = "channel-content"
_OF_PRODUCTS = frozenset(ExportFilter.model_fields) - {"orders", "centre", "supplier", "customer_group"}
# How many SKUs another service is asked about at once.
_SKUS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Prices:
    """The list that prices come from, and the digits of its currency after the point."""

    list_id: UUID
    digits: int


@dataclass(slots=True)
class Portion:
    """Things that were read at one moment. `after` is the last of them; None when there are no more."""

    after: UUID | str | None
    number: int = 0
    products: Sequence[asyncpg.Record] = ()
    variants: Mapping[UUID, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    paths: Mapping[UUID, Sequence[Sequence[str]]] = field(default_factory=dict)
    texts: Mapping[UUID, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    tiers: Sequence[Mapping[str, Any]] = ()
    categories: Sequence[tuple[Sequence[str], Mapping[str, Any]]] = ()
    told: Sequence[list[str]] = ()
    contents: Mapping[UUID, Mapping[UUID, KnownContent]] = field(default_factory=dict)
    category_paths: Mapping[UUID, Sequence[str]] = field(default_factory=dict)

    def to_write(self) -> Iterator[ProductToWrite]:
        """Products as writers take them."""
        prices: dict[UUID, PricePair] = exports.single_prices(self.tiers)
        for row in self.products:
            own = dict(row)
            own |= {name: orjson.loads(own[name]) for name in _JSON if name in own}
            yield ProductToWrite(
                own,
                [dict(v) | {"attributes": orjson.loads(v["attributes"])} for v in self.variants.get(row["id"], ())],
                self.paths.get(row["id"], ()),
                prices,
                {text["locale"]: _text(text) for text in self.texts.get(row["id"], ())},
            )


_JSON = ("attributes", "images", "media", "alts")


def _text(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row) | {name: orjson.loads(row[name]) for name in ("attributes", "option_names", "option_values")}


class GroupExport(ABC):
    """How one export reads and writes its rows. `counted` is what its things are called."""

    headings: Sequence[str]
    counted: str = "products"
    # Another service is asked for the things: with no transaction open.
    asks: ClassVar[bool] = False

    @abstractmethod
    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        """How many things there are now, and the last of them."""

    @abstractmethod
    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        """The next things, by id or as `Portion.after` said."""

    def among(self, product_ids: Sequence[UUID]) -> "GroupExport":
        """The same of these products alone, where it is of products."""
        del product_ids
        return self

    @abstractmethod
    def rows(self, portion: Portion) -> Rows:
        """Their rows. Plain Python: in a thread."""


class OfProducts(GroupExport):
    """An export of products, or of what belongs to them."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def among(self, product_ids: Sequence[UUID]) -> GroupExport:
        """The same of these products alone."""
        narrowed = copy(self)
        narrowed._wanted = self._wanted.among(product_ids)
        return narrowed


class ProductExport(OfProducts):
    """Products, with as much of what belongs to them as `writer` has columns for: with `whole`, all."""

    def __init__(self, writer: ProductWriter, wanted: Wanted, prices: Prices | None, *, whole: bool = True) -> None:
        super().__init__(wanted)
        self._writer = writer
        self._prices = prices
        self._whole = whole
        self.headings: Sequence[str] = writer.headings

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        return await exports.extent(uow, self._wanted)

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        portion = await _read(uow, self._wanted, self._prices, after, last, first, whole=self._whole)
        if self._whole:
            ids = [row["id"] for row in portion.products]
            portion.paths = await exports.paths_of(uow, ids)
            portion.texts = await exports.texts_of(uow, ids)
        return portion

    def rows(self, portion: Portion) -> Rows:
        for product in portion.to_write():
            yield from self._writer.rows(product)


@dataclass(frozen=True, slots=True)
class ListToWrite:
    """A price list as a file names it: nothing for a standing one, which its group alone says."""

    id: UUID
    label: str
    customer_group: str
    digits: int


def lists_to_write(lists: Sequence[KnownList]) -> list[ListToWrite]:
    """A list's name, where it is the only one of the shop that is called so, else its id."""
    names = Counter(each.name for each in lists)
    return [
        ListToWrite(
            each.id,
            "" if each.is_standing else each.name if names[each.name] == 1 else str(each.id),
            each.customer_group or "",
            exponent(each.currency),
        )
        for each in lists
    ]


class PriceExport(OfProducts):
    """The prices of a shop's lists, by product, variant and list, with a row for each quantity, centre and time."""

    headings: Sequence[str] = PRICE_HEADINGS

    def __init__(self, wanted: Wanted, lists: Sequence[ListToWrite]) -> None:
        super().__init__(wanted)
        self._lists = {each.id: each for each in lists}

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        return await exports.extent(uow, self._wanted) if self._lists else (0, None)

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        portion = await _read(uow, self._wanted, None, after, last, first, whole=False)
        variant_ids = [row["id"] for rows in portion.variants.values() for row in rows]
        portion.tiers = await exports.all_tiers_of(uow, list(self._lists), variant_ids)
        return portion

    def rows(self, portion: Portion) -> Rows:
        tiers: dict[UUID, list[Mapping[str, Any]]] = {}
        for row in portion.tiers:
            tiers.setdefault(row["variant_id"], []).append(row)
        for product in portion.products:
            for variant in portion.variants.get(product["id"], ()):
                for tier in tiers.get(variant["id"], ()):
                    yield _price_cells(variant["sku"], tier, self._lists[tier["price_list_id"]])


def _price_cells(sku: str, tier: Mapping[str, Any], of: ListToWrite) -> list[str]:
    cells = {
        "sku": sku,
        "minimum_quantity": str(tier["minimum_quantity"]),
        **{name: major(tier[name], of.digits) for name in ("price", "list_price")},
        "on_request": "true" if tier["price"] is None else "",
        "centre": tier["centre"],
        **{name: "" if tier[name] is None else tier[name].isoformat() for name in ("starts_at", "ends_at")},
        "price_list": of.label,
        "customer_group": of.customer_group,
    }
    return [cells[heading] for heading in PRICE_HEADINGS]


class CategoryExport(GroupExport):
    """Categories with their paths; shops as far as whoever asked for the export may see them."""

    counted = "categories"
    headings: Sequence[str] = (
        *("path", "slug", "name", "names", "slugs", "enabled", "valid from", "valid until", "position", "shops"),
    )

    def __init__(self, within: list[UUID] | None, shop_ids: list[UUID] | None) -> None:
        self._within = within
        self._shop_ids = shop_ids

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        return await exports.category_extent(uow, self._within)

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        position = _id(after)
        found = await exports.list_categories(uow, self._within, self._shop_ids, position, UUID(last), first)
        return Portion(found[-1][1]["id"] if len(found) == first else None, len(found), categories=found)

    def rows(self, portion: Portion) -> Rows:
        for path, row in portion.categories:
            yield [
                path_text(path),
                row["slug"],
                row["name"],
                *(_by_language(orjson.loads(row[name])) for name in ("names", "slugs")),
                "true" if row["enabled"] else "false",
                *("" if moment is None else moment.isoformat() for moment in (row["valid_from"], row["valid_until"])),
                str(row["position"]),
                joined_words(row["shops"]),
            ]


class StockExport(GroupExport):
    """Stock by SKU and centre, as inventory tells it: each portion as it is when it is read."""

    headings: Sequence[str] = ("sku", "centre", "on_hand", "policy")
    counted = "places"
    asks = True

    def __init__(self, skus: list[str] | None, centre: str | None) -> None:
        self._skus = skus
        self._centre = centre

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        places = (await uow.ask(CountStock(skus=self._skus, centre=self._centre))).places
        return places, _ANY if places else None

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        found = await uow.ask(ReadStock(skus=self._skus, centre=self._centre, after=after, first=first))
        return Portion(found.next, len(found.rows), told=_stock_rows(found))

    def of(self, skus: list[str]) -> "StockExport":
        """The same of these SKUs."""
        return StockExport(skus, self._centre)

    def rows(self, portion: Portion) -> Rows:
        return portion.told


def _stock_rows(found: StockPortion) -> list[list[str]]:
    return [[sku, centre, str(on_hand), policy] for sku, centre, on_hand, policy in found.rows]


class ToldExport(GroupExport):
    """What another service says of a group, row by row, each portion as it is when it is read."""

    asks = True

    def __init__(self, group: str, wanted: dict[str, JsonValue] | None = None) -> None:
        self._wanted = wanted
        self.headings = headings_of(group)
        self.counted = group.replace("-", "_")
        self._group = group

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        number = (await uow.ask(CountRowsOfGroup(group=self._group, filter=self._wanted))).number
        return number, _ANY if number else None

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        found = await uow.ask(ReadRowsOfGroup(group=self._group, filter=self._wanted, after=after, first=first))
        return Portion(found.next, len(found.rows) if found.number is None else found.number, told=found.rows)

    def of(self, skus: list[str]) -> "ToldExport":
        """The same of these SKUs."""
        return ToldExport(self._group, {**(self._wanted or {}), "skus": list[JsonValue](skus)})

    def rows(self, portion: Portion) -> Rows:
        return portion.told


class OfSkusExport(OfProducts):
    """What another service has of the SKUs of products, product by product: `skus` may narrow these further."""

    asks = True

    def __init__(self, wanted: Wanted, told: StockExport | ToldExport, skus: list[str] | None) -> None:
        super().__init__(wanted)
        self._told = told
        self._skus = None if skus is None else frozenset(skus)
        self.headings: Sequence[str] = told.headings

    async def extent(self, uow: UnitOfWork) -> tuple[int, UUID | None]:
        async with exports.one_view(uow):
            return await exports.extent(uow, self._wanted)

    async def read(self, uow: UnitOfWork, after: str | None, last: str, first: int) -> Portion:
        async with exports.one_view(uow):
            portion = await _read(uow, self._wanted, None, after, last, first, whole=False)
        owned = [row["sku"] for rows in portion.variants.values() for row in rows]
        skus = sorted(sku for sku in owned if self._skus is None or sku in self._skus)
        told: list[list[str]] = []
        for start in range(0, len(skus), _SKUS_AT_ONCE):
            told += await self._all_of(uow, skus[start : start + _SKUS_AT_ONCE])
        portion.told = told
        return portion

    async def _all_of(self, uow: UnitOfWork, skus: list[str]) -> list[list[str]]:
        of, found = self._told.of(skus), list[list[str]]()
        portion = await of.read(uow, None, "", _ROWS_AT_ONCE)
        found += portion.told
        while portion.after is not None:
            portion = await of.read(uow, str(portion.after), "", _ROWS_AT_ONCE)
            found += portion.told
        return found

    def rows(self, portion: Portion) -> Rows:
        return portion.told


_ROWS_AT_ONCE = 2000
# Stands for a last thing where things have no ids.
_ANY = UUID(int=0)


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _by_language(said: Mapping[str, str]) -> str:
    return " | ".join(f"{escaped_word(locale)}={escaped_word(word)}" for locale, word in said.items())


@dataclass(frozen=True, slots=True)
class Group:
    profiles: tuple[str, ...]
    filters: frozenset[str]


GROUPS: Mapping[str, Group] = {
    "products": Group(("crossdock", "shopify"), _OF_PRODUCTS),
    "variants": Group(("crossdock",), _OF_PRODUCTS),
    "prices": Group(("crossdock",), _OF_PRODUCTS),
    "categories": Group(("crossdock",), frozenset({"category_id"})),
    CHANNEL_CONTENT: Group(("crossdock",), _OF_PRODUCTS),
    "stock": Group(("crossdock",), _OF_PRODUCTS | {"centre"}),
    "suppliers": Group(("crossdock",), frozenset()),
    "supplier-links": Group(("crossdock",), _OF_PRODUCTS | {"supplier"}),
    "customers": Group(("crossdock",), frozenset({"customer_group"})),
    "orders": Group(("crossdock",), frozenset({"orders"})),
}


EVERYTHING = ExportFilter()


def _of_skus(told: StockExport | ToldExport, wanted: Wanted, asked: ExportFilter) -> GroupExport:
    """By products only where more than SKUs chooses them: those of no product are found, too, without."""
    is_by_products = asked.model_dump(exclude_none=True).keys() & (_OF_PRODUCTS - {"skus"})
    return OfSkusExport(wanted, told, asked.skus) if is_by_products else told


async def columns_in_languages(uow: UnitOfWork, group: str, profile: str, wanted: Wanted) -> list[Localized]:
    """The columns for other languages that an export needs: for what is said in one, in a fixed order."""
    if (group, profile) != ("products", "crossdock"):
        return []
    languages = await exports.languages_of(uow, wanted)
    return [
        (heading, locale)
        for locale, said in sorted(languages.items())
        for heading, name in LOCALIZED.items()
        if name in said
    ]


def group_export(
    group: str,
    profile: str,
    wanted: Wanted,
    prices: Prices | None,
    shop_ids: list[UUID] | None,
    localized: Sequence[Localized] = (),
    lists: Sequence[ListToWrite] = (),
    asked: ExportFilter = EVERYTHING,
) -> GroupExport:
    """What `GROUPS` promises. `shop_ids` are those whose codes may be told; None: all."""
    digits = prices.digits if prices else None
    match group:
        case "products":
            writer = ShopifyWriter(digits) if profile == "shopify" else CrossdockWriter(digits, localized)
            return ProductExport(writer, wanted, prices)
        case "variants":
            return ProductExport(VariantWriter(digits), wanted, prices, whole=False)
        case "prices":
            return PriceExport(wanted, lists)
        case "stock":
            return _of_skus(StockExport(asked.skus, asked.centre), wanted, asked)
        case "supplier-links":
            said: dict[str, JsonValue] = asked.model_dump(mode="json", include={"skus", "supplier"}, exclude_none=True)
            return _of_skus(ToldExport(group, said or None), wanted, asked)
        case "customers":
            return ToldExport(
                group, asked.model_dump(mode="json", include={"customer_group"}, exclude_none=True) or None
            )
        case "orders":
            orders = asked.orders
            wanted_orders = None if orders is None else orders.model_dump(mode="json", exclude_defaults=True)
            return ToldExport(group, wanted_orders)
        case "suppliers":
            return ToldExport(group)
        case _:
            return CategoryExport(wanted.category_ids, shop_ids)


async def _read(
    uow: UnitOfWork,
    wanted: Wanted,
    prices: Prices | None,
    after: str | None,
    last: str,
    first: int,
    *,
    whole: bool,
) -> Portion:
    """Products with their variants, and their prices where there is a list."""
    products = await exports.list_products(uow, wanted, _id(after), UUID(last), first, whole=whole)
    ids = [row["id"] for row in products]
    variants = await exports.variants_of(uow, ids)
    portion = Portion(ids[-1] if len(ids) == first else None, len(ids), products, variants)
    if prices is not None:
        variant_ids = [row["id"] for rows in variants.values() for row in rows]
        portion.tiers = await exports.tiers_of(uow, prices.list_id, variant_ids)
    return portion
