"""What can go wrong here, by name."""

from shared.bus.envelope import ShopNotFound
from shared.errors import Invalid, NotFound, PreconditionFailed, Unavailable, ValidationFailed


class OfferNotFound(NotFound):
    """The shop does not sell this, or nothing has this name."""


class SkuNotFound(NotFound):
    """No variant has this SKU."""


class CursorOfAnotherSearch(Invalid):
    """The cursor was given out for other words, another filter or another order."""


class CatalogIsBehind(Unavailable):
    """Catalog has yet to hear of a shop, or of a change to it, that is known here; a moment later it will have."""


class SearchTuningChangedSince(PreconditionFailed):
    """Somebody else tuned the shop's search since it was read."""


class ReversedPriceRange(ValidationFailed):
    """The lowest price that is wanted is above the highest."""


class UnknownCustomerGroup(ValidationFailed):
    """No price list of the shop, or of one it may inherit from, is for this customer group."""


class TooManyCombinations(ValidationFailed):
    """The values of several options can be combined in more ways than are looked for."""


class ProductsAndCategories(ValidationFailed):
    """A rebuild names categories, and products or SKUs as well: it could mean both, or those that are in both."""


class PinnedTwice(ValidationFailed):
    """Two lists of pinned offers are for the same words or the same category."""


__all__ = [
    "CatalogIsBehind",
    "CursorOfAnotherSearch",
    "OfferNotFound",
    "PinnedTwice",
    "ProductsAndCategories",
    "ReversedPriceRange",
    "SearchTuningChangedSince",
    "ShopNotFound",
    "SkuNotFound",
    "TooManyCombinations",
    "UnknownCustomerGroup",
]
