"""What catalog announces. Bulk work records one event per chunk, with up to 1,000 ids."""

from datetime import datetime
from uuid import UUID

from shared.contracts.base import Event

IDS_PER_EVENT = 1000


class ProductsChanged(Event):
    """These products (texts, variants, categories, status) were created, changed or deleted: ask what they are now."""

    product_ids: list[UUID]


class PricesChanged(Event):
    """Prices of these products changed, or a price begins or ends to apply, in one shop or (null) in all."""

    product_ids: list[UUID]
    shop_id: UUID | None = None


class ShopTermsChanged(Event):
    """What a shop's heirs sell, and for how much, may be different for every product.

    Catalog has heard of the shop, or of another parent, strictness, currency or language of it.
    """

    shop_id: UUID


class CategoriesChanged(Event):
    """The tree, its names, or which shops a category is assigned to changed."""

    category_ids: list[UUID]
    # Whether that touches only products in these branches. Others too, where a shop no longer inherits, or again.
    is_confined: bool = False


class ChannelContentChanged(Event):
    """What a shop (and with it those that inherit from it) or a connection shows of these products changed."""

    product_ids: list[UUID]
    shop_id: UUID | None = None
    connection_id: UUID | None = None


class StockFileImported(Event):
    """An import brought stock figures, as NDJSON under `key` in the blob store.

    A row is `{"sku", "centre"?, "on_hand", "policy"?}`.
    `centre` is a centre's code; without it the default centre is meant. `part` numbers the files of one import.
    `counted_at` is when the file was uploaded: figures of a later count stand against it, in whatever order they come.
    """

    import_id: UUID
    part: int
    key: str
    rows: int
    counted_at: datetime | None = None


class VariantsRemoved(Event):
    """These SKUs no longer exist."""

    skus: list[str]
