"""What can go wrong with stock, by name."""

from collections.abc import Sequence
from typing import Any

from shared.errors import Conflict, NotFound, PreconditionFailed, TooLarge, ValidationFailed


class CentreNotFound(NotFound):
    title = "There is no such fulfilment centre"


class CentreChangedSince(PreconditionFailed):
    """The centre has another version than the one the client named."""

    title = "The fulfilment centre was changed in the meantime"


class CentreCodeTaken(Conflict):
    title = "Another fulfilment centre has this code"


class DefaultCentreNeeded(Conflict):
    title = "A merchant needs a default fulfilment centre"


class CentreHasReservations(Conflict):
    """`errors` has an entry per order and SKU, up to 100: `{order_id, sku, units, state}`."""

    title = "Units are reserved in this centre"


class CentreHasStock(Conflict):
    """`errors` has an entry per SKU, up to 100: `{sku, on_hand}`."""

    title = "Stock lies in this centre"


class StockNotFound(NotFound):
    title = "This centre has never held this SKU"


class NegativeStock(Conflict):
    title = "Less is on hand than is to be taken"


class NotEnoughToMove(Conflict):
    """`errors` has one entry per SKU: `{sku, requested, available}`; what is reserved cannot be moved."""

    title = "Less can be moved than is to be"


class SameCentre(ValidationFailed):
    title = "Goods are moved between two centres"


class ReferenceReused(Conflict):
    title = "The reference stands for another change"


class TooManyRows(TooLarge):
    title = "Too many rows in one request"


class NoRows(ValidationFailed):
    title = "There is no row to apply"


class TooManySkus(ValidationFailed):
    title = "Too many SKUs in one question"


class KitNotFound(NotFound):
    title = "This SKU is no kit"


class KitLoops(Conflict):
    title = "A kit would be in itself"


class KitHasStock(Conflict):
    title = "What has stock of its own is no kit"


class IsKit(Conflict):
    title = "A kit has no stock of its own"


class KitTooLarge(ValidationFailed):
    title = "The kit takes too many goods"


class ReservationNotFound(NotFound):
    title = "There is no such reservation"


class NothingToReserve(ValidationFailed):
    title = "A reservation needs lines with quantities of at least 1"


class InsufficientStock(Conflict):
    """`errors` has one entry per SKU: `{sku, requested, available, reason}`."""

    title = "Not everything is in stock"

    def __init__(self, shortages: Sequence[dict[str, Any]], detail: str | None = None) -> None:
        skus = ", ".join(str(shortage["sku"]) for shortage in shortages[:5])
        super().__init__(detail or f"Not available in the wanted quantity: {skus}.", shortages)


class ReservationDiffers(Conflict):
    title = "The reservation of this id holds other lines"


class ReservationClosed(Conflict):
    title = "The reservation was released and cannot be taken again"


class GoodsLeaving(Conflict):
    """`errors` has one entry per SKU of which fewer units are free than the change takes away."""

    title = "Goods that have left, or are about to, cannot be changed"


class CentreDoesNotServe(Conflict):
    title = "The fulfilment centre does not serve this shop"


class ShipmentInPreparation(Conflict):
    """`errors` has one entry per shipment that is being prepared: `{shipment_id, number, state}`."""

    title = "A shipment is being prepared for the present address"


class AddressChanging(Conflict):
    title = "The order's address is being changed at this moment"


class OrderNotReady(Conflict):
    title = "The order may not be shipped as it stands"


class MoreThanAllocated(Conflict):
    title = "More than is still open of this order"


class NotOnHand(Conflict):
    title = "The goods are not on hand"


class CentreMayNotDispatch(Conflict):
    title = "The goods lie in a centre that may not dispatch for this shop"


class ShipmentNotFound(NotFound):
    title = "There is no such shipment"


class ShipmentChangedSince(PreconditionFailed):
    """The shipment has another version than the one the client named."""

    title = "The shipment was changed in the meantime"


class IllegalShipmentMove(Conflict):
    """A shipment cannot go from where it is to there."""

    title = "The shipment cannot be moved like this"


class ImpossibleDelivery(ValidationFailed):
    title = "A shipment arrives after it left, and not in the future"


class OrderNotFound(NotFound):
    """Nothing was ever held for it."""

    title = "There is no such order"


class ReturnNotFound(NotFound):
    title = "There is no such return"


class NotShipped(Conflict):
    """`errors` has one entry per SKU: `{sku, shipped}`."""

    title = "What never left cannot come back"


class MoreThanShipped(Conflict):
    """`errors` has one entry per SKU: `{sku, requested, returnable}`."""

    title = "More than is still out"


class ArrivalNotFound(NotFound):
    title = "There is no such arrival"


class ArrivalChangedSince(PreconditionFailed):
    """The arrival has another version than the one the client named."""

    title = "The arrival was changed in the meantime"


class ArrivalOver(Conflict):
    title = "Nothing more of this arrival is expected"


class ArrivalDiffers(Conflict):
    title = "The arrival is of other goods, or of another centre"


class LessThanReceived(Conflict):
    title = "More has come already"


class TooMuchStock(Conflict):
    title = "That is beyond what stock can hold"


class ReceiptNotFound(NotFound):
    title = "There is no such receipt"


class CarrierNotFound(NotFound):
    title = "There is no such carrier"


class CarrierCodeTaken(Conflict):
    title = "Another carrier has this code"


class CarrierChangedSince(PreconditionFailed):
    """The carrier has another version than the one the client named."""

    title = "The carrier was changed in the meantime"


class ShippingMethodNotFound(NotFound):
    title = "There is no such shipping method"


class ShippingMethodCodeTaken(Conflict):
    title = "Another shipping method has this code"


class ShippingMethodChangedSince(PreconditionFailed):
    """The method has another version than the one the client named."""

    title = "The shipping method was changed in the meantime"


class UnknownService(ValidationFailed):
    title = "The carrier has no such service"


class SupplierNotFound(NotFound):
    title = "There is no such supplier"


class SupplierCodeTaken(Conflict):
    title = "Another supplier has this code"


class SupplierChangedSince(PreconditionFailed):
    """The supplier has another version than the one the client named."""

    title = "The supplier was changed in the meantime"


class SupplierLinkNotFound(NotFound):
    title = "There is no such link of a supplier and a SKU"


class SupplierLinkExists(Conflict):
    title = "The supplier supplies this SKU already"


class SupplierLinkChangedSince(PreconditionFailed):
    """The link has another version than the one the client named."""

    title = "The link was changed in the meantime"


class NegativeCost(ValidationFailed):
    title = "A cost is zero or more"


class SuppliersHaveNoShop(ValidationFailed):
    """An import of suppliers named a shop."""

    title = "Suppliers belong to the organization"


class StockCheckNotFound(NotFound):
    title = "There is no such stock check"


class StockCheckNotReady(Conflict):
    title = "The stock check is being worked on, or has no report"


class CountedInFuture(ValidationFailed):
    title = "What is counted was counted before now"


class CountIncomplete(ValidationFailed):
    """What no row names was to be taken as nothing, but a row does not say which SKU it is about."""

    title = "A count of everything has to be readable in every row"


class RowsNotChosen(ValidationFailed):
    title = "Say which rows are to be applied"


class RowsNotApplicable(Conflict):
    """`errors` has one entry per SKU, up to 100: `{sku, state, code}`; `state` is null where no row names it."""

    title = "Some of these rows cannot be applied"


class NothingToApply(Conflict):
    title = "No row of the stock check differs"


class TooMuchZeroed(Conflict):
    """`errors` has one entry: `{zeroed, stocked, guard_percent}`."""

    title = "More SKUs would become empty than may without being confirmed"


class CentreRemoved(Conflict):
    title = "The fulfilment centre was removed in the meantime"


class LedgerBroken(Conflict):
    """Stock changed under a lock, or would be promised twice: a defect that the database refused to store."""

    status = 500
    title = "The stock ledger refused the change"


class StockBelongsToCentres(ValidationFailed):
    """An import of stock named a shop."""
