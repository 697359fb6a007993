"""What can go wrong in the catalog, by name."""

from shared.errors import Conflict, Forbidden, NotFound, PreconditionFailed, TooLarge, ValidationFailed


class ShopNotFound(NotFound):
    """No such shop, or not one the caller may see."""


class ConnectionNotFound(NotFound):
    """No such connection, or not one of a shop that the caller may see."""


class ProductNotFound(NotFound):
    """No such product."""


class ProductChangedSince(PreconditionFailed):
    """The product has another version than the one the client named."""

    title = "The product was changed in the meantime"


class ProductHasNoPrice(Conflict):
    """Nothing of the product could be sold: no variant has a price, or is sold on request."""


class IllegalTransition(Conflict):
    """A product does not become that from what it is."""

    title = "The product cannot become that from what it is now"


class TooManyTags(ValidationFailed):
    """A product has no more tags than one that is written by itself."""


class VariantNotFound(NotFound):
    """No such variant."""


class AttributeNotFound(NotFound):
    """No such attribute."""


class AttributeChangedSince(PreconditionFailed):
    """The attribute has another version than the one the client named."""

    title = "The attribute was changed in the meantime"


class AttributeCodeTaken(Conflict):
    title = "Another attribute has this code"


class InvalidAttribute(ValidationFailed):
    """A definition that contradicts itself: a unit of a text, choices of a number, a choice without choices."""


class AttributeValuesRefused(ValidationFailed):
    """Values that are not of their attribute's type; nothing was stored."""

    title = "Some values do not fit their attributes"


class ValuesDoNotFit(Conflict):
    """Products have values that the attribute's type or choices would not allow."""

    title = "Stored values do not fit"


class AssignedFromAbove(Conflict):
    """A shop sells the category because it sells one above it: that one is assigned, not this."""


class SlugTaken(Conflict):
    title = "Another one has this slug"


class SkuTaken(Conflict):
    title = "Another variant has this SKU"


class DuplicateVariant(ValidationFailed):
    """Two variants of one product with the same options, or the same SKU twice."""


class WrongOptions(ValidationFailed):
    """A variant's options are not those of its product."""


class InvalidBarcode(ValidationFailed):
    """Not a GTIN: 8, 12, 13 or 14 digits with a check digit (GS1 General Specifications §7.9)."""


class CategoryNotFound(NotFound):
    """No such category."""


class CategoryChangedSince(PreconditionFailed):
    """The category has another version than the one the client named."""

    title = "The category was changed in the meantime"


class CategoryBelowItself(ValidationFailed):
    """A category cannot stand below itself or below what stands below it."""

    title = "A category cannot stand below itself"


class CategoryTooDeep(ValidationFailed):
    """More levels than a tree of categories may have."""


class CategoryEndsBeforeItStarts(ValidationFailed):
    """A category that is valid from later than until when it is."""


class TreeTooLarge(TooLarge):
    """More categories than one answer may carry: ask for a branch, or for fewer levels."""


class PriceListNotFound(NotFound):
    """No such price list."""


class PriceListChangedSince(PreconditionFailed):
    """The price list has another version than the one the client named."""

    title = "The price list was changed in the meantime"


class EndsBeforeItStarts(ValidationFailed):
    """A price list, or a price, that applies from later than it ends."""


class SkuNotFound(NotFound):
    """No variant has this SKU."""


class NoRows(ValidationFailed):
    title = "There is no row to apply"


class TooManyRows(TooLarge):
    title = "Too many rows in one request"


class RowsGone(Conflict):
    """The rows were taken away before they could be read, by a request of the same kind; send them again."""

    title = "The rows are no longer there"


class PricesRefused(ValidationFailed):
    """Some prices cannot be taken; none was."""


class ChannelContentChangedSince(PreconditionFailed):
    """What the channel has of the product has another version than the one the client named."""

    title = "The channel content was changed in the meantime"


class ChannelContentRefused(ValidationFailed):
    """Some of what a channel is to have of its products cannot be taken; nothing was."""


class ShopHasNoParent(ValidationFailed):
    """A field was to be as the shop above has it, and there is none."""


class NoProductsNamed(ValidationFailed):
    """Neither products nor a category were named."""


class TooManyProducts(ValidationFailed):
    """More products than one call may carry."""


class ExportNotFound(NotFound):
    """No such export."""


class ExportNotFinished(Conflict):
    """The export still runs; its file is there at the end."""


class ExportHasNoFile(NotFound):
    """The export failed or was cancelled, or its file was kept long enough."""


class UnsupportedFormat(ValidationFailed):
    """Files of this format are not written."""


class UnsupportedFilter(ValidationFailed):
    """What is exported cannot be chosen by this."""


class GroupOfAllShops(Forbidden):
    """Customers and suppliers are of all shops: their files are for those alone who see all."""


class StockOfAllShops(Forbidden):
    """Stock is told to those alone who see all shops."""
