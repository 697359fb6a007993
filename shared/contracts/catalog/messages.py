"""What catalog is asked."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.catalog.categories import Category, CategoryChange, CategoryDraft
from shared.contracts.catalog.offers import LinePrices, OfferParts, OwnedPart
from shared.contracts.catalog.pricing import Price, PriceChanges, PriceDraft, PriceList, PriceListDraft
from shared.contracts.catalog.product_sets import ProductSets, Words
from shared.contracts.catalog.shapes import Product, ProductChange, ProductDraft, ProductStatus, ProductText
from shared.pagination import First


class GetOfferParts(Query[OfferParts]):
    """These products (up to 200) as one shop shows them, or a connection of it. Internal: the indexer and sync ask."""

    shop_id: UUID
    product_ids: list[UUID]
    connection_id: UUID | None = None


class ProductIds(Shape):
    """One page of ids in id order; `after` of the next question is the last of them, and none are left when empty."""

    ids: list[UUID]


class ListProductIds(Query[ProductIds]):
    """Ids of all products, for a rebuild, or of those in the branches of some categories. Internal."""

    category_ids: list[UUID] | None = None
    after: UUID | None = None
    first: int = 1000


class SkuProducts(Shape):
    """The product of each known SKU."""

    product_ids: dict[str, UUID]


class FindProductsOfSkus(Query[SkuProducts]):
    """Which products these SKUs (up to 1,000) belong to. Internal."""

    skus: list[str]


class ProductKeys(Shape):
    """What products are known by: the products with each SKU, barcode and slug, and the slug of each product.

    `owned`: what the connection that was asked about owns itself of the products that were asked for by id.
    """

    by_sku: dict[str, UUID]
    by_barcode: dict[str, list[UUID]]
    by_slug: dict[str, UUID]
    slugs: dict[UUID, str]
    owned: list[OwnedPart] = []


class FindProductKeys(Query[ProductKeys]):
    """Which products these SKUs, barcodes and slugs belong to, and what these products are called (1,000 each).

    Internal: sync asks, to find again what a platform has.
    """

    skus: list[str] = []
    barcodes: list[str] = []
    slugs: list[str] = []
    product_ids: list[UUID] = []
    connection_id: UUID | None = None


class PriceLine(Shape):
    sku: str
    quantity: int


class PriceLines(Query[LinePrices]):
    """What these lines cost in a shop, now, by quantity. Internal: quotes and orders ask.

    `customer_group`: the buyer's; `centre`: the code of the fulfilment centre that serves. Without them the prices for
    everybody, and for every centre, hold.
    """

    shop_id: UUID
    lines: list[PriceLine]
    customer_group: str | None = None
    centre: str | None = None


# --- the doors'


class ListProducts(Query[Page[Product]]):
    """Products, newest first. `slug` and `sku` find the one that has it.

    `query` are words, all of which the product has: in its titles, brand, type, tags, SKUs, barcodes and the maker's
    numbers; the last may be a beginning. `sets` intersect: `with:image`, `without:price` (barcode, brand, category,
    description, image, mpn, price, product_type, seo, tags, weight; what is a variant's own, all of them must have),
    `brand:…`, `type:…`, `tag:…`, `size:…`, `colour:…`, `status:active`, `stock:in`, `stock:low`, `stock:out`,
    `price:low` (less than a supplier takes for it), `price:bad` (none, or zero); of a platform or the connection with
    this id `on:shopify`, `published:…`, `unpublished:…`, `in_category:…`, `without_category:…`,
    `category:shopify:Clothing > Scarves`, `pending_update:…`, `pending_create:…`, `issues:…`; and `with:issues`,
    `without:issues`. With these, what changed shows within a second, and a page may be shorter than asked for while
    there is a `next`.
    """

    query: Words | None = None
    sets: ProductSets = []
    status: ProductStatus | None = None
    slug: str | None = None
    category_id: UUID | None = None
    sku: str | None = None
    first: First = 50
    after: str | None = None


class GetProduct(Query[Product]):
    """One product with its variants. Raises product_not_found."""

    product_id: UUID


class CreateProduct(Command[Product]):
    """Create a product with its variants.

    Raises slug_taken, sku_taken, duplicate_variant, wrong_options, invalid_barcode, attribute_values_refused,
    category_not_found.
    """

    draft: ProductDraft


class UpdateProduct(Command[Product]):
    """Change what is given of a product; with `version`, only if it still has that one.

    Raises product_changed_since, and what creating a product raises.
    """

    product_id: UUID
    change: ProductChange
    version: int | None = None


class PublishProduct(Command[Product]):
    """Make a draft or paused product active. Raises product_has_no_price, illegal_transition, product_changed_since."""

    product_id: UUID
    version: int | None = None


class PauseProduct(Command[Product]):
    """Take an active product out of sale for a while. Raises illegal_transition, product_changed_since."""

    product_id: UUID
    version: int | None = None


class ArchiveProduct(Command[Product]):
    """Take a product out of sale for good; its variants and prices stay. Raises product_changed_since."""

    product_id: UUID
    version: int | None = None


class RestoreProduct(Command[Product]):
    """Make an archived product a draft again. Raises illegal_transition, product_changed_since."""

    product_id: UUID
    version: int | None = None


class ListProductTexts(Query[Page[ProductText]]):
    """A product's texts by locale. Raises product_not_found."""

    product_id: UUID
    first: First = 50
    after: str | None = None


class SetProductText(Command[ProductText]):
    """A product's texts in one locale, as a whole; with `version`, only if the product still has that one.

    Raises product_not_found, product_changed_since, wrong_options, attribute_values_refused.
    """

    product_id: UUID
    text: ProductText
    version: int | None = None


class ListCategories(Query[Page[Category]]):
    """Categories by name. With `parent_id`, the children of one; with `roots_only`, the roots."""

    parent_id: UUID | None = None
    roots_only: bool = False
    first: First = 50
    after: str | None = None


class GetCategory(Query[Category]):
    """One category with the shops it is assigned to. Raises category_not_found."""

    category_id: UUID


class CreateCategory(Command[Category]):
    """Create a category, below another or at the root, and assign it to shops.

    Raises slug_taken (within the parent, for any locale), category_not_found, category_too_deep, shop_not_found,
    category_ends_before_it_starts.
    """

    draft: CategoryDraft


class UpdateCategory(Command[Category]):
    """Change a category; with `version`, only if it still has that one.

    Raises category_not_found, category_changed_since, slug_taken, category_ends_before_it_starts.
    """

    category_id: UUID
    change: CategoryChange
    version: int | None = None


class AssignCategory(Command[Category]):
    """Sell a category's branch in these shops, given by their codes. Raises shop_not_found."""

    category_id: UUID
    shops: Annotated[list[str], Field(min_length=1, max_length=200)]
    version: int | None = None


class UnassignCategory(Command[Category]):
    """Stop selling a category's branch in these shops.

    Refused: `shop_not_found` (404), `assigned_from_above` (409) where a shop sells it because of a category above it.
    """

    category_id: UUID
    shops: Annotated[list[str], Field(min_length=1, max_length=200)]
    version: int | None = None


class ListPriceLists(Query[Page[PriceList]]):
    """Price lists of one shop or of all, oldest first. Raises shop_not_found."""

    shop: str | None = None
    first: First = 50
    after: str | None = None


class CreatePriceList(Command[PriceList]):
    """Create a price list for a shop. Raises shop_not_found, unknown_currency."""

    draft: PriceListDraft


class ListPrices(Query[Page[Price]]):
    """Prices of one list by SKU. Raises price_list_not_found."""

    price_list_id: UUID
    sku: str | None = None
    first: First = 50
    after: str | None = None


class SetPrices(Command[PriceChanges]):
    """Set or remove up to 1,000 prices of one list, all or none. Raises price_list_not_found, prices_refused."""

    price_list_id: UUID
    prices: Annotated[list[PriceDraft], Field(min_length=1, max_length=1000)]
