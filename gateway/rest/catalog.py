"""Products over REST; prices, categories and imports have modules of their own."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from gateway.request import Ask
from gateway.rest.preconditions import ExpectedVersion, tagged
from shared.contracts.base import Page
from shared.contracts.catalog import messages
from shared.contracts.catalog.bulk import ActOnProducts, StartedProductAction
from shared.contracts.catalog.history import HistoryEntry, ListProductHistory
from shared.contracts.catalog.product_sets import MOST_SETS, ProductSet, Words
from shared.contracts.catalog.shapes import (
    Product,
    ProductChange,
    ProductDraft,
    ProductStatus,
    ProductText,
)
from shared.contracts.search.operators import CountedProducts, CountProductSet, SuggestedSets, SuggestProductSets
from shared.pagination import First

router = APIRouter(prefix="/v1", tags=["catalog"])

ProductWords = Annotated[
    Words | None,
    Query(
        alias="q",
        description="Words, all of which the product has: in its titles, brand, type, tags, SKUs, barcodes and the"
        " maker's numbers. The last one may be a beginning.",
    ),
]
ProductSetFilter = Annotated[
    list[ProductSet],
    Query(
        alias="set",
        max_length=MOST_SETS,
        description="In this set, and in each further one: `with:` or `without:` and a field (barcode, brand, category,"
        " description, image, mpn, price, product_type, seo, tags, weight), `brand:`, `type:`, `tag:`, `size:`,"
        " `colour:` and a value, `status:active`, `stock:in`, `stock:low`, `stock:out`, `price:low` (below cost),"
        " `price:bad`, `with:issues`; or how it stands"
        " on a platform or the connection with this id: `on:`, `published:`, `unpublished:`, `in_category:`,"
        " `without_category:`, `pending_update:`, `pending_create:`, `issues:`, `category:shopify:Clothing > Scarves`.",
    ),
]
After = Annotated[str | None, Query(description="The `next` of the page before.")]


# --- products


@router.get("/products")
async def list_products(
    ask: Ask,
    query: ProductWords = None,
    sets: ProductSetFilter = [],  # noqa: B006
    status: ProductStatus | None = None,
    slug: str | None = None,
    sku: str | None = None,
    category_id: UUID | None = None,
    first: First = 50,
    after: After = None,
) -> Page[Product]:
    """Your products with their variants, newest first: those that everything holds for that is given."""
    return await ask(
        messages.ListProducts(
            query=query,
            sets=sets,
            status=status,
            slug=slug,
            sku=sku,
            category_id=category_id,
            first=first,
            after=after,
        )
    )


@router.get("/product-sets")
async def suggest_product_sets(
    ask: Ask,
    typed: Annotated[str, Query(max_length=100, description="What somebody typed, like `re` or `brand:no`.")] = "",
    query: ProductWords = None,
    sets: ProductSetFilter = [],  # noqa: B006
    first: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SuggestedSets:
    """Sets of products that somebody who types may mean, each with how many of the products meant so far it holds."""
    return await ask(SuggestProductSets(typed=typed, query=query, sets=sets, first=first))


@router.get("/product-sets/count")
async def count_product_set(
    ask: Ask,
    query: ProductWords = None,
    sets: ProductSetFilter = [],  # noqa: B006
) -> CountedProducts:
    """How many products have the words and are in all of the sets."""
    return await ask(CountProductSet(query=query, sets=sets))


@router.get("/products/{product_id}")
async def get_product(product_id: UUID, ask: Ask, response: Response) -> Product:
    """One product. Its `ETag` goes into `If-Match` when you change it."""
    return tagged(await ask(messages.GetProduct(product_id=product_id)), response)


@router.post("/products", status_code=201)
async def create_product(draft: ProductDraft, ask: Ask, response: Response) -> Product:
    """Create a product with its variants. It is a draft until it is published."""
    product = await ask(messages.CreateProduct(draft=draft))
    response.headers["Location"] = f"/v1/products/{product.id}"
    return tagged(product, response)


@router.post("/products/act", status_code=202)
async def act_on_products(message: ActOnProducts, ask: Ask, response: Response) -> StartedProductAction:
    """Do the same to all products that words and sets mean, or that are named, as a job.

    With `dry_run` it changes nothing, and counts what it would. Follow `Location`.
    """
    started = await ask(message)
    response.headers["Location"] = f"/v1/jobs/{started.job.id}"
    return started


@router.patch("/products/{product_id}")
async def update_product(
    product_id: UUID,
    change: ProductChange,
    ask: Ask,
    response: Response,
    version: ExpectedVersion,
) -> Product:
    """Change what is given. With `If-Match`, only if nobody changed the product since you read it (412 otherwise)."""
    message = messages.UpdateProduct(product_id=product_id, change=change, version=version)
    return tagged(await ask(message), response)


@router.post("/products/{product_id}/publish")
async def publish_product(product_id: UUID, ask: Ask, response: Response, version: ExpectedVersion) -> Product:
    """Make a draft or paused product sellable in every shop its categories are assigned to."""
    return tagged(await ask(messages.PublishProduct(product_id=product_id, version=version)), response)


@router.post("/products/{product_id}/pause")
async def pause_product(product_id: UUID, ask: Ask, response: Response, version: ExpectedVersion) -> Product:
    """Take an active product out of sale for a while, in every shop."""
    return tagged(await ask(messages.PauseProduct(product_id=product_id, version=version)), response)


@router.post("/products/{product_id}/archive")
async def archive_product(product_id: UUID, ask: Ask, response: Response, version: ExpectedVersion) -> Product:
    """Take a product out of sale in every shop. Its variants, prices and history stay."""
    return tagged(await ask(messages.ArchiveProduct(product_id=product_id, version=version)), response)


@router.post("/products/{product_id}/restore")
async def restore_product(product_id: UUID, ask: Ask, response: Response, version: ExpectedVersion) -> Product:
    """Take a product out of the archive. It is a draft again, until it is published."""
    return tagged(await ask(messages.RestoreProduct(product_id=product_id, version=version)), response)


@router.get("/products/{product_id}/texts")
async def list_product_texts(product_id: UUID, ask: Ask, first: First = 50, after: After = None) -> Page[ProductText]:
    """A product's texts in other languages, by locale."""
    return await ask(messages.ListProductTexts(product_id=product_id, first=first, after=after))


@router.put("/products/{product_id}/texts")
async def set_product_text(product_id: UUID, text: ProductText, ask: Ask, version: ExpectedVersion) -> ProductText:
    """Set a product's texts in one locale. Shops in that locale, or its language, show them.

    `If-Match` takes the product's `ETag`.
    """
    return await ask(messages.SetProductText(product_id=product_id, text=text, version=version))


@router.get("/products/{product_id}/history")
async def list_product_history(
    product_id: UUID,
    ask: Ask,
    field: str | None = None,
    sku: str | None = None,
    first: First = 50,
    after: After = None,
) -> Page[HistoryEntry]:
    """The values that a product, its variants, prices, texts and places had, since when, and who or what wrote them.

    Newest first; with `field` (`title`, `weight_grams`, `price` …) or `sku`, of that alone.
    """
    return await ask(ListProductHistory(product_id=product_id, field=field, sku=sku, first=first, after=after))
