"""What can go wrong with payments: to an operator, to a gateway that posts a callback, and inside a callback."""

from shared.errors import (
    Conflict,
    CrossdockError,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from shared.errors import ValidationFailed as _ValidationFailed

# --- operators


class PaymentGatewayNotFound(NotFound):
    """There is no such payment gateway."""


class PaymentGatewayChangedSince(PreconditionFailed):
    """The gateway has another version than the one the client named."""

    title = "The payment gateway was changed in the meantime"


class PaymentNotFound(NotFound):
    """There is no such payment."""


class RefundNotFound(NotFound):
    """There is no such refund."""


class CallbackNotFound(NotFound):
    """There is no such callback."""


class UnsupportedProvider(_ValidationFailed):
    """No adapter speaks for this provider."""


class InvalidSecret(_ValidationFailed):
    """A secret is empty, or longer than any gateway makes them."""


class InvalidGatewaySettings(_ValidationFailed):
    """The settings are not what this provider needs."""


class InvalidCredentials(_ValidationFailed):
    """Credentials that do not reach this provider's API."""


class InvalidNetwork(_ValidationFailed):
    """An allowed network is an address or a network in CIDR notation."""


class TooManyLiveSecrets(Conflict):
    """Two secrets are live already."""


class SecretNotFound(NotFound):
    """The gateway has no live secret with this id."""


class LastLiveSecret(Conflict):
    """The gateway would be left without any secret; disable it instead."""


class PaymentAttachedElsewhere(Conflict):
    """The gateway's payment id belongs to another order already."""


class GatewayOfAnotherShop(_ValidationFailed):
    """The order's shop is not the gateway's, nor below it."""


class RefundIsSettled(Conflict):
    """Only a requested refund can be closed by hand."""


class CallbackIsSettled(Conflict):
    """The callback is processed or rejected; that is final."""


class AcceptanceNotAllowed(Forbidden):
    """Accepting a callback without verification is a right of its own."""


class BatchNotReplayable(Conflict):
    """A call with several events that was refused as a whole."""


class EffectNotPossible(_ValidationFailed):
    """The named effect does not fit the callback's payment or order."""


class CallbackBodyGone(Gone):
    """The raw bytes of this forged or malformed callback were dropped after their retention."""


# --- reconciliation


class ReconciliationNotFound(NotFound):
    """There is no such reconciliation."""


class DifferenceNotFound(NotFound):
    """There is no such difference."""


class ReconciliationNotOffered(_ValidationFailed):
    """The provider's API does not list payments, or we do not speak to it; settlement files are compared instead."""


class ReconciliationRunning(Conflict):
    """The gateway is being reconciled at this moment."""


class InvalidPeriod(_ValidationFailed):
    """A period ends after it begins, is not longer than is taken at once, and says its time zone."""


class PeriodInFuture(_ValidationFailed):
    """The period has not ended yet."""


class DifferenceIsSettled(Conflict):
    """The difference is repaired, matched, dismissed or superseded already."""


class DifferenceNotRepairable(Conflict):
    """Nothing that the provider knows could be brought in; a person has to decide."""


class RepairNotPossible(Conflict):
    """What the provider knows does not fit here; nothing was changed."""


class UnknownSettlementLayout(_ValidationFailed):
    """No settlement file of this layout is read."""


class InvalidSettlementFile(_ValidationFailed):
    """The file is not of the layout that was named, or not of this gateway."""


class WrongAccount(_ValidationFailed):
    """The provider tells of test payments to a live gateway, or of live ones to a test gateway."""


class ProviderKeptSilent(CrossdockError):
    """The provider was asked again and again, ever later, and did not answer."""

    status = 502


# --- the sender of a callback


class WrongMethod(Invalid):
    status = 405
    title = "Callbacks are posted"


class BodyTooLarge(TooLarge):
    title = "The body is beyond the limit"


class BodyTooSlow(Invalid):
    status = 408
    title = "The body did not arrive in time"


class CompressedBody(Invalid):
    status = 415
    title = "Compressed bodies are not taken"


class InvalidChallenge(Invalid):
    title = "The challenge is not one of this provider"


class TooManyUnverified(TooManyRequests):
    title = "Too many callbacks came that are not verified"


class InvalidSignature(Invalid):
    title = "The signature does not hold"


class AddressNotAllowed(Forbidden):
    title = "Callbacks are not taken from this address"


class CallbackNotStored(Unavailable):
    title = "The callback could not be stored; send it again"


# --- inside a callback: each makes it `failed`, with the code as its reason


class Unusable(CrossdockError):
    """An authentic callback that cannot take effect as it is. A person has to look."""

    status = 422


class UnreadableCallback(Unusable):
    title = "The body is not what this gateway sends"


class EventIdReused(Unusable):
    title = "Another callback with this event id and other content came before"


class WrongMode(Unusable):
    title = "A test event came to a live gateway, or a live one to a test gateway"


class WrongCurrency(Unusable):
    title = "The payment's currency is not the order's"


class WrongAmount(Unusable):
    title = "The amount does not fit its currency"


class AmountBeyondOrder(Unusable):
    title = "More was paid than the order's total"


class RefundBeyondCapture(Unusable):
    title = "More was refunded than captured"


class OrderOfAnotherShop(Unusable):
    title = "The order belongs to a shop this gateway does not serve"


class OrderContradiction(Unusable):
    title = "The payment belongs to another order than the callback says"


class OrderNotFound(Unusable):
    title = "The order did not appear in time"


class PaymentNotCaptured(Unusable):
    title = "A refund came and its payment did not follow in time"


class NoApiCredentials(Unusable):
    title = "The provider's API is to be asked, and there are no credentials for it"


class CheckGaveUp(Unusable):
    title = "Whether it is genuine could not be found out"


class ProcessingGaveUp(Unusable):
    title = "Processing kept failing on our side"


class MustWait(Exception):
    """What a callback speaks of is not here yet. `error` is what it becomes when it does not come in time."""

    def __init__(self, error: Unusable, payment: str, order_number: str | None = None) -> None:
        super().__init__(error.detail)
        self.error = error
        self.payment = payment
        self.order_number = order_number
