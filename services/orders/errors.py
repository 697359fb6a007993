"""What can go wrong with quotes and orders, by name."""

from shared.errors import Conflict, Forbidden, Gone, Invalid, NotFound, PreconditionFailed, ValidationFailed


class OrderNotFound(NotFound):
    title = "There is no such order"


class QuoteNotFound(NotFound):
    title = "There is no such quote"


class QuoteExpired(Gone):
    title = "The quote is no longer valid"


class QuoteDiffers(Conflict):
    title = "The quote was for another shop or other lines"


class IdempotencyKeyRequired(Invalid):
    title = "Placing an order needs an Idempotency-Key"


class LinesMissing(ValidationFailed):
    title = "An order needs lines, or a quote that has them"


class OrderIncomplete(ValidationFailed):
    """`errors` points at what is missing: the customer, the shipping address, or both."""

    title = "An order needs a customer and a shipping address"


class TooManyUnits(ValidationFailed):
    title = "More of one SKU than an order can have"


class WrongCurrency(ValidationFailed):
    title = "The shop sells in another currency"


class AmountTooLarge(ValidationFailed):
    title = "The order comes to more than can be handled"


class DiscountExceedsAmount(ValidationFailed):
    """`errors` names what it is taken from, and both amounts."""

    title = "More is taken off than it costs"


class TaxExceedsAmount(ValidationFailed):
    """`errors` names what it is included in, and both amounts."""

    title = "More tax is included than it costs"


class UnknownSku(ValidationFailed):
    """`errors` has one entry per unknown SKU."""

    title = "The shop knows no such SKU"


class NotSellable(Conflict):
    """`errors` has one entry per SKU that has no price in this shop, with the reason."""

    title = "The shop does not sell this"


class OutsideOrderLimits(ValidationFailed):
    """`errors` has one entry per SKU of which an order takes more, less, or other multiples, with its limits."""

    title = "The shop takes no order of so many"


class PriceChanged(Conflict):
    """`errors` holds the total as it is now, and each line's price."""

    title = "The price is no longer the one that was shown"


class HoldRanOut(Conflict):
    title = "What was held for this was held too long ago; send the request again"


class IllegalTransition(Conflict):
    title = "The order cannot go from one status to the other"


class NothingLeft(Conflict):
    title = "Nothing of the order would be left"


class DuplicateLine(ValidationFailed):
    """`errors` has one entry per SKU that is named twice."""

    title = "A line is named twice"


class UnitsHaveLeft(Conflict):
    """`errors` has one entry per SKU of which more has left than is to be wanted."""

    code = "goods_leaving"
    title = "Goods that have left cannot be changed"


class OrderNotChangeable(Conflict):
    title = "The order stands as it is"


class NotReturned(Conflict):
    """`errors` has one entry per SKU of which fewer units came back than are to be refunded."""

    title = "These units did not come back, or their money was asked back already"


class RefundExceedsPaid(Conflict):
    """`errors` holds what can still be asked back."""

    title = "More is to go back than was paid"


class OrderChangedSince(PreconditionFailed):
    title = "The order changed since it was read"


class CustomerNotFound(NotFound):
    title = "There is no such customer"


class CustomerExists(Conflict):
    """`errors` names the customer who has the e-mail address, where the caller may see it."""

    title = "Somebody has this e-mail address already"


class CustomerErased(Conflict):
    title = "The customer was erased"


class CustomerChangedSince(PreconditionFailed):
    title = "The customer changed since it was read"


class CustomerHasOpenOrders(Conflict):
    """`errors` has the numbers of the orders that are not over."""

    title = "Orders of the customer are not over"


class OrderConnectionNotNamed(ValidationFailed):
    title = "The file does not say which connection its orders are of"


class CustomersHaveNoShop(ValidationFailed):
    title = "Customers belong to the organization"


class OrderExportNotFinished(Conflict):
    title = "The export of orders still runs"


class OrderExportHasNoFile(Conflict):
    title = "The export of orders has no file"


class OrderConnectionNotFound(NotFound):
    title = "There is no such connection"


class OrderConnectionChangedSince(PreconditionFailed):
    title = "The connection changed since it was read"


class ImportedOrderNotFound(NotFound):
    title = "There is no such order of a connection"


class ImportedOrderIsSettled(Conflict):
    title = "The order is imported"


class ExternalIdTwice(ValidationFailed):
    title = "One order is in the message twice"


class NotForStorefronts(Forbidden):
    title = "Groups and notes are the merchant's"


class OnlyForTheWhole(Forbidden):
    title = "Only for callers who see every shop"


class ShipmentNotKnown(NotFound):
    """News of a shipment came before that it left: they are told again."""


class QueryTooBroad(ValidationFailed):
    """So many orders have the words that they cannot be counted, or sorted by anything but time."""
