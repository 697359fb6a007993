"""What can go wrong here, by name."""

from shared.bus.envelope import ShopNotFound
from shared.errors import Invalid, NotFound, Unavailable


class OfferNotFound(NotFound):
    """The shop does not sell this, or nothing has this name."""


class SkuNotFound(NotFound):
    """No variant has this SKU."""


class CursorOfAnotherSearch(Invalid):
    """The cursor was given out for other words, another filter or another order."""


class CatalogIsBehind(Unavailable):
    """Catalog has yet to hear of a shop, or of a change to it, that is known here; a moment later it will have."""


__all__ = ["CatalogIsBehind", "CursorOfAnotherSearch", "OfferNotFound", "ShopNotFound", "SkuNotFound"]
