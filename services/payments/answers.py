"""Messages in."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import orjson

from services.payments import masking
from services.payments.gateway_book import callback_url
from services.payments.models import Gateway
from services.payments.repository import (
    callback_records,
    difference_records,
    gateway_records,
    order_records,
    payer_records,
    payment_records,
)
from services.payments.repository import reconciliation_records as records
from services.payments.use_cases import (
    attachment,
    bulk_triage,
    decoding,
    gateway_setup,
    reconciling,
    refunding,
    repairing,
    settling,
    triage,
)
from services.payments.use_cases.decoding import callback_table
from shared.contracts.base import Page
from shared.contracts.orders.messages import CancelOrder
from shared.contracts.payments.checks import ListPaymentsToCheck, PaymentToCheck
from shared.contracts.payments.messages import (
    AttachPayment,
    ChangePaymentGateway,
    CloseRefund,
    CreatePaymentGateway,
    DisablePaymentGateway,
    EnablePaymentGateway,
    GetCallback,
    GetPayment,
    GetPaymentGateway,
    GetPaymentRecords,
    GetRefund,
    ListCallbacks,
    ListPaymentGateways,
    ListPayments,
    ListRefunds,
    RejectCallback,
    ReplayCallback,
)
from shared.contracts.payments.reconciliation import (
    CompareSettlementFile,
    Difference,
    DismissDifference,
    GetDifference,
    GetReconciliation,
    ListDifferences,
    ListReconciliations,
    ReconcileGateway,
    Reconciliation,
    Repair,
    RepairBegun,
    RepairDifference,
    RepairReconciliation,
)
from shared.contracts.payments.shapes import (
    Callback,
    CallbackAttempt,
    CallbackDetail,
    CallbackFilter,
    GatewaySecret,
    Payment,
    PaymentGateway,
    PaymentRecords,
    Refund,
)
from shared.contracts.payments.triage import (
    AcceptCallback,
    CallbackTable,
    CallbackTriage,
    ExportCallbacks,
    TriageCallbacks,
)
from shared.pagination import InvalidCursor, cursor_for, cursor_values, id_after, page_by_id
from shared.service import answers
from shared.unit_of_work import UnitOfWork

S = TypeVar("S")
R = TypeVar("R")
CHECKED_AT_ONCE = 1000

# --- gateways


@answers(CreatePaymentGateway, scope="payments:write")
async def create_payment_gateway(message: CreatePaymentGateway, uow: UnitOfWork) -> PaymentGateway:
    return await _gateway_shape(uow, await gateway_setup.create(uow, message))


@answers(ListPaymentGateways, scope="payments:read")
async def list_payment_gateways(message: ListPaymentGateways, uow: UnitOfWork) -> Page[PaymentGateway]:
    shop_id = None if message.shop is None else await gateway_setup.get_shop_id(uow, message.shop)
    rows = await gateway_records.list_gateways(uow, shop_id, _before(message.after), message.first + 1)
    shapes = await _gateway_shapes(uow, rows[: message.first])
    return Page(items=shapes, next=_next(rows, message.first))


@answers(GetPaymentGateway, scope="payments:read")
async def get_payment_gateway(message: GetPaymentGateway, uow: UnitOfWork) -> PaymentGateway:
    return await _gateway_shape(uow, await gateway_records.get_gateway(uow, message.gateway_id))


@answers(ChangePaymentGateway, scope="payments:write")
async def change_payment_gateway(message: ChangePaymentGateway, uow: UnitOfWork) -> PaymentGateway:
    return await _gateway_shape(uow, await gateway_setup.change(uow, message))


@answers(DisablePaymentGateway, scope="payments:write")
async def disable_payment_gateway(message: DisablePaymentGateway, uow: UnitOfWork) -> PaymentGateway:
    gateway = await gateway_setup.enable(uow, message.gateway_id, message.expected_version, is_enabled=False)
    return await _gateway_shape(uow, gateway)


@answers(EnablePaymentGateway, scope="payments:write")
async def enable_payment_gateway(message: EnablePaymentGateway, uow: UnitOfWork) -> PaymentGateway:
    gateway = await gateway_setup.enable(uow, message.gateway_id, message.expected_version, is_enabled=True)
    return await _gateway_shape(uow, gateway)


async def _gateway_shape(uow: UnitOfWork, gateway: Gateway) -> PaymentGateway:
    return (await _gateway_shapes(uow, [gateway]))[0]


async def _gateway_shapes(uow: UnitOfWork, gateways: Sequence[Gateway]) -> list[PaymentGateway]:
    ids = [gateway.id for gateway in gateways]
    codes = await order_records.list_shop_codes(uow, {gateway.shop_id for gateway in gateways})
    uncollected = await gateway_records.count_uncollected(uow, ids)
    connected = await gateway_records.list_gateways_with_credentials(uow, ids)
    secrets: dict[UUID, list[GatewaySecret]] = {}
    for secret in await gateway_records.list_secrets(uow, ids):
        shape = GatewaySecret(id=secret.id, created_at=secret.created_at, retired_at=secret.retired_at)
        secrets.setdefault(secret.gateway_id, []).append(shape)
    return [
        PaymentGateway(
            id=gateway.id,
            shop=codes[gateway.shop_id],
            shop_id=gateway.shop_id,
            provider=gateway.provider,
            mode=gateway.mode,
            settings=gateway.settings,
            allowed_networks=gateway.allowed_networks,
            enabled=gateway.is_enabled,
            secrets=secrets.get(gateway.id, []),
            has_credentials=gateway.id in connected,
            callback_url=callback_url(gateway.id),
            created_at=gateway.created_at,
            version=gateway.version,
            uncollected_callbacks=uncollected.get(gateway.id, 0),
        )
        for gateway in gateways
    ]


# --- payments and refunds


@answers(ListPayments, scope="payments:read")
async def list_payments(message: ListPayments, uow: UnitOfWork) -> Page[Payment]:
    rows = await payment_records.list_payments(
        uow,
        order_id=message.order_id,
        gateway_id=message.gateway,
        state=message.state,
        before=_before(message.after),
        most=message.first + 1,
    )
    return Page(items=[row.shape() for row in rows[: message.first]], next=_next(rows, message.first))


@answers(GetPayment, scope="payments:read")
async def get_payment(message: GetPayment, uow: UnitOfWork) -> Payment:
    return (await payment_records.get_payment(uow, message.payment_id)).shape()


@answers(AttachPayment, internal=True)
async def attach_payment(message: AttachPayment, uow: UnitOfWork) -> Payment:
    return (await attachment.attach(uow, message)).shape()


@answers(ListRefunds, scope="payments:read")
async def list_refunds(message: ListRefunds, uow: UnitOfWork) -> Page[Refund]:
    rows = await payment_records.list_refunds(
        uow, order_id=message.order_id, state=message.state, before=_before(message.after), most=message.first + 1
    )
    items = [refund.shape(payment) for refund, payment in rows[: message.first]]
    return Page(items=items, next=_next([refund for refund, _ in rows], message.first))


@answers(GetRefund, scope="payments:read")
async def get_refund(message: GetRefund, uow: UnitOfWork) -> Refund:
    refund = await payment_records.get_refund(uow, message.refund_id)
    return refund.shape(await payment_records.get_payment(uow, refund.payment_id))


@answers(CloseRefund, scope="payments:write")
async def close_refund(message: CloseRefund, uow: UnitOfWork) -> Refund:
    refund, payment = await refunding.close(uow, message.refund_id, message.reason)
    return refund.shape(payment)


# --- callbacks


@answers(ListCallbacks, scope="payments:read")
async def list_callbacks(message: ListCallbacks, uow: UnitOfWork) -> Page[Callback]:
    told = message.model_dump(include=set(CallbackFilter.model_fields))
    meant = await bulk_triage.meant_by(uow, CallbackFilter(**told))
    rows = await callback_records.list_callbacks(uow, meant, _before(message.after), message.first + 1)
    items = [Callback(**_callback_fields(row)) for row in rows[: message.first]]
    return Page(items=items, next=_next(rows, message.first, lambda row: row["id"]))


@answers(ExportCallbacks, scope="payments:read")
async def export_callbacks(message: ExportCallbacks, uow: UnitOfWork) -> CallbackTable:
    meant = await bulk_triage.meant_by(uow, message.filter)
    rows = await callback_records.list_callbacks(uow, meant, _before(message.after), message.first + 1)
    listed = [_callback_fields(row) for row in rows[: message.first]]
    following = _next(rows, message.first, lambda row: row["id"])
    return CallbackTable(csv=callback_table(listed), rows=len(listed), next=following)


@answers(GetCallback, scope="payments:read")
async def get_callback(message: GetCallback, uow: UnitOfWork) -> CallbackDetail:
    return await _callback_detail(uow, message.callback_id)


@answers(ReplayCallback, scope="payments:write")
async def replay_callback(message: ReplayCallback, uow: UnitOfWork) -> CallbackDetail:
    await triage.replay(uow, message.callback_id)
    return await _callback_detail(uow, message.callback_id)


@answers(GetPaymentRecords, internal=True)
async def get_payment_records(message: GetPaymentRecords, uow: UnitOfWork) -> PaymentRecords:
    return PaymentRecords(payments=await payer_records.list_records(uow, message.order_ids))


@answers(RejectCallback, scope="payments:write")
async def reject_callback(message: RejectCallback, uow: UnitOfWork) -> CallbackDetail:
    await triage.reject(uow, message.callback_id, message.reason)
    return await _callback_detail(uow, message.callback_id)


@answers(AcceptCallback, scope="payments:write")
async def accept_callback(message: AcceptCallback, uow: UnitOfWork) -> CallbackDetail:
    await triage.accept(uow, message.callback_id, message.reason, message.effect)
    return await _callback_detail(uow, message.callback_id)


@answers(TriageCallbacks, scope="payments:write")
async def triage_callbacks(message: TriageCallbacks, uow: UnitOfWork) -> CallbackTriage:
    return await bulk_triage.begin(uow, message)


async def _callback_detail(uow: UnitOfWork, callback_id: UUID) -> CallbackDetail:
    row = await callback_records.get_callback_row(uow, callback_id)
    content = await callback_records.get_callback_content(uow, callback_id)
    gateway = (await gateway_records.get_gateways(uow, [row["gateway_id"]]))[row["gateway_id"]]
    body, encoding = masking.shown_body(content["body"], gateway.provider)
    return CallbackDetail(
        **_callback_fields(row),
        body=body,
        body_encoding=encoding,
        headers=[(name, masking.shown_header(name, value)) for name, value in orjson.loads(content["headers"])],
        source_address=content["source_address"],
        is_accepted=content["is_accepted"],
        decoded=decoding.decoded(gateway, content),
    )


def _callback_fields(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "gateway": row["gateway_id"],
        "provider": row["provider"],
        "status": row["status"],
        "reason": row["reason"],
        "detail": row["detail"],
        "event": row["event"],
        "event_id": row["event_id"],
        "payment_id": row["payment_id"],
        "received_at": row["received_at"],
        "deliveries": row["deliveries"],
        "is_verified": row["is_verified"],
        "origin": row["origin"],
        "attempts": [CallbackAttempt(**attempt) for attempt in orjson.loads(row["attempts"])],
    }


def _before(cursor: str | None) -> UUID | None:
    values = cursor_values(cursor, 1)
    try:
        return None if values is None else UUID(str(values[0]))
    except ValueError:
        raise InvalidCursor("The cursor is not one that this collection gave out.") from None


def _next(rows: Sequence[R], first: int, id_of: Callable[[R], UUID] = lambda row: row.id) -> str | None:  # type: ignore[attr-defined]
    return cursor_for(str(id_of(rows[first - 1]))) if len(rows) > first else None


# --- reconciliation


@answers(ReconcileGateway, scope="payments:write")
async def reconcile_gateway(message: ReconcileGateway, uow: UnitOfWork) -> Reconciliation:
    return await reconciling.begin(uow, message)


@answers(CompareSettlementFile, scope="payments:write")
async def compare_settlement_file(message: CompareSettlementFile, uow: UnitOfWork) -> Reconciliation:
    return await settling.begin(uow, message)


@answers(ListReconciliations, scope="payments:read")
async def list_reconciliations(message: ListReconciliations, uow: UnitOfWork) -> Page[Reconciliation]:
    most = message.first + 1
    rows = await records.list_reconciliations(uow, message.gateway, _before(message.after), most)
    return Page(items=rows[: message.first], next=_next(rows, message.first))


@answers(GetReconciliation, scope="payments:read")
async def get_reconciliation(message: GetReconciliation, uow: UnitOfWork) -> Reconciliation:
    return await records.get_reconciliation(uow, message.reconciliation_id)


@answers(ListDifferences, scope="payments:read")
async def list_differences(message: ListDifferences, uow: UnitOfWork) -> Page[Difference]:
    wanted = {
        "reconciliation_id": message.reconciliation,
        "gateway_id": message.gateway,
        "kind": message.kind,
        "state": message.state,
    }
    rows = await difference_records.list_differences(uow, wanted, _before(message.after), message.first + 1)
    items = [difference_records.difference(row) for row in rows[: message.first]]
    return Page(items=items, next=_next(rows, message.first, lambda row: row["id"]))


@answers(GetDifference, scope="payments:read")
async def get_difference(message: GetDifference, uow: UnitOfWork) -> Difference:
    return difference_records.difference(await difference_records.get_difference(uow, message.difference_id))


@answers(RepairDifference, scope="payments:write")
async def repair_difference(message: RepairDifference, uow: UnitOfWork) -> Repair:
    async with uow.beforehand() as earlier:
        unpaid = await repairing.find_unpaid_order(earlier, message.difference_id)
    if unpaid is None:
        done = await repairing.repair(uow, message.difference_id, dry_run=message.dry_run)
    else:
        uow.caller.require("orders:write")
        if not message.dry_run:
            await uow.ask(CancelOrder(order_id=unpaid, reason="It was not paid, as its payment provider says."))
        done = await repairing.close_unpaid(uow, message.difference_id, dry_run=message.dry_run)
    if not message.dry_run:
        await reconciling.watch(uow, done.difference.gateway_id)
    return done


@answers(RepairReconciliation, scope="payments:write")
async def repair_reconciliation(message: RepairReconciliation, uow: UnitOfWork) -> RepairBegun:
    return await repairing.begin(uow, message)


@answers(DismissDifference, scope="payments:write")
async def dismiss_difference(message: DismissDifference, uow: UnitOfWork) -> Difference:
    return difference_records.difference(await repairing.dismiss(uow, message.difference_id, message.reason))


# --- what `crossdock check` asks


@answers(ListPaymentsToCheck, internal=True)
async def list_payments_to_check(message: ListPaymentsToCheck, uow: UnitOfWork) -> Page[PaymentToCheck]:
    rows = await payment_records.list_to_check(uow, id_after(message.after), CHECKED_AT_ONCE + 1)
    return page_by_id(rows, CHECKED_AT_ONCE, lambda row: PaymentToCheck(**row))
