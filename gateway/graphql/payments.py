"""GraphQL of payment gateways, callbacks, payments and refunds."""

from gateway.graphql.fields import connection, mutation, node, query
from shared.contracts.payments.messages import (
    ChangePaymentGateway,
    CloseRefund,
    CreatePaymentGateway,
    DisablePaymentGateway,
    EnablePaymentGateway,
    GetCallback,
    GetPayment,
    GetPaymentGateway,
    GetRefund,
    ListCallbacks,
    ListPaymentGateways,
    ListPayments,
    ListRefunds,
    RejectCallback,
    ReplayCallback,
)
from shared.contracts.payments.shapes import Callback, CallbackDetail, Payment, PaymentGateway, Refund
from shared.contracts.payments.triage import AcceptCallback, ExportCallbacks, TriageCallbacks

FIELDS = (
    node(PaymentGateway, GetPaymentGateway, "gateway_id"),
    node(Payment, GetPayment, "payment_id"),
    node(Refund, GetRefund, "refund_id"),
    node(CallbackDetail, GetCallback, "callback_id", also=(Callback,)),
    query("paymentGateway", GetPaymentGateway),
    query("payment", GetPayment),
    query("refund", GetRefund),
    query("callback", GetCallback),
    connection("paymentGateways", ListPaymentGateways),
    connection("payments", ListPayments),
    connection("refunds", ListRefunds),
    connection("callbacks", ListCallbacks),
    mutation("createPaymentGateway", CreatePaymentGateway),
    mutation("changePaymentGateway", ChangePaymentGateway),
    mutation("disablePaymentGateway", DisablePaymentGateway),
    mutation("enablePaymentGateway", EnablePaymentGateway),
    mutation("closeRefund", CloseRefund),
    mutation("replayCallback", ReplayCallback),
    mutation("rejectCallback", RejectCallback),
    mutation("acceptCallback", AcceptCallback),
    mutation("triageCallbacks", TriageCallbacks),
    query("callbackExport", ExportCallbacks),
)
