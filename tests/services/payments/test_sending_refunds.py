"""Requested refunds are sent through the providers' APIs (PAY-5): once, whatever answers, dies, or comes first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.payments.settings import payments_settings
from services.payments.use_cases import sending
from shared import clock
from shared.contracts.orders.events import OrderCancelled, RefundWanted
from shared.contracts.payments.messages import CloseRefund, ListRefunds
from shared.contracts.payments.shapes import PaymentGateway, Refund
from shared.errors import CarriedError
from shared.money import Money
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.fakes.providers import stripe_refund
from tests.fakes.servers import serving
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-5")


@dataclass
class Refunds:
    """A provider that sends money back, once for each key. `answers` are given first, one to each request."""

    key_of: Callable[[Request, dict[str, Any]], str | None]
    made: Callable[[str, dict[str, Any]], dict[str, Any]]
    answers: list[Response] = field(default_factory=list)
    # What was made, by key: its name there and what was asked.
    known: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_forgetful: bool = False

    async def refund(self, request: Request) -> Response:
        body = await request.body()
        is_form = "form" in request.headers.get("content-type", "")
        asked: dict[str, Any] = dict(parse_qsl(body.decode())) if is_form else orjson.loads(body)
        self.asked.append((request.url.path, asked))
        key = self.key_of(request, asked)
        assert key is not None
        # The answer may be lost after the refund was made.
        if not self.is_forgetful:
            self.known.setdefault(key, (f"re_{len(self.known) + 1}", asked))
        if self.answers:
            return self.answers.pop(0)
        name, first = self.known.setdefault(key, (f"re_{len(self.known) + 1}", asked))
        return JSONResponse(self.made(name, first), 201)

    async def token(self, _request: Request) -> Response:
        return JSONResponse({"access_token": "token"})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        paths = (
            "/v1/refunds",
            "/v2/refunds",
            "/v2/payments/{id}/refunds",
            "/v1/payments/{id}/refund",
            "/v71/payments/{id}/refunds",
            "/v2/payments/captures/{id}/refund",
        )
        routes = [("POST", path, self.refund) for path in paths]
        async with serving(("POST", "/v1/oauth2/token", self.token), *routes) as base:
            yield base


def header(name: str) -> Callable[[Request, dict[str, Any]], str | None]:
    return lambda request, _asked: request.headers.get(name)


def money(value: str) -> dict[str, str]:
    return {"currency": "USD", "value": value}


PROVIDERS: dict[str, tuple[str, Refunds, str, dict[str, Any]]] = {
    "stripe": (
        '{"api_key": "sk_test"}',
        Refunds(
            header("idempotency-key"),
            lambda name, asked: stripe_refund(name, "pay_1", clock.now(), int(asked["amount"])),
        ),
        "/v1/refunds",
        {"payment_intent": "pay_1", "amount": "500"},
    ),
    "mollie": (
        '{"api_key": "test_key"}',
        Refunds(
            header("idempotency-key"), lambda name, asked: {"id": name, "status": "refunded", "amount": asked["amount"]}
        ),
        "/v2/payments/pay_1/refunds",
        {"amount": money("5.00")},
    ),
    "square": (
        '{"access_token": "sq"}',
        Refunds(
            lambda _request, asked: asked["idempotency_key"],
            lambda name, asked: {
                "refund": {
                    "id": name,
                    "status": "COMPLETED",
                    "payment_id": "pay_1",
                    "amount_money": asked["amount_money"],
                }
            },
        ),
        "/v2/refunds",
        {"payment_id": "pay_1", "amount_money": {"amount": 500, "currency": "USD"}},
    ),
    "razorpay": (
        '{"key_id": "rzp", "key_secret": "secret"}',
        Refunds(
            header("x-refund-idempotency"),
            lambda name, asked: {
                "id": name,
                "status": "processed",
                "payment_id": "pay_1",
                "amount": asked["amount"],
                "currency": "USD",
            },
        ),
        "/v1/payments/pay_1/refund",
        {"amount": 500},
    ),
    "paypal": (
        '{"client_id": "c", "client_secret": "s"}',
        Refunds(
            header("paypal-request-id"),
            lambda name, asked: {"id": name, "status": "COMPLETED", "amount": asked["amount"]},
        ),
        "/v2/payments/captures/{capture}/refund",
        {"amount": {"currency_code": "USD", "value": "5.00"}},
    ),
}


async def paid(till: Till, provider: str, number: str, credentials: str | None = None) -> tuple[PaymentGateway, Any]:
    """A gateway with credentials, and an order that was paid there."""
    settings = {"settings": g.settings_of(provider)} if provider == "paypal" else {}
    fields = {"credentials": credentials or PROVIDERS[provider][0], **settings}
    gateway = await g.open_gateway(till.process, till.organization_id, provider, **fields)
    placed = await till.place(number)
    told = g.sender(gateway, number, payment="pay_1").say("captured")
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=told.body, headers=told.headers)
    assert answer.status_code == 200, answer.text
    await till.work()
    return gateway, placed


async def want(till: Till, placed: Any, amount: int = 500) -> None:
    """The order wants so much to go back."""
    wanted = Money(amount=amount, currency="USD")
    event = RefundWanted(
        order_id=placed.order_id, number=placed.number, shop_id=till.shop_id, amount=wanted, reason="came back"
    )
    await till.hear(event)


async def refunds(till: Till, placed: Any) -> list[Refund]:
    """The requests, without what the gateway reported."""
    found: list[Refund] = (await till.ask(ListRefunds(order_id=placed.order_id))).items
    return [each for each in found if each.external_id is None]


async def later(till: Till) -> None:
    """As if the time of what waits had come."""
    uow = till.unit_of_work()
    await uow.execute("UPDATE tasks SET due_at = now() WHERE kind = $1", sending.MAKE)
    await uow.commit()
    await till.work()


@asynccontextmanager
async def at(fake: Refunds, provider: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Refunds]:
    async with fake.serving() as address:
        monkeypatch.setattr(payments_settings(), "provider_apis", {provider: address})
        yield fake


def stripe_refunds(state: str = "succeeded") -> Refunds:
    def made(name: str, asked: dict[str, Any]) -> dict[str, Any]:
        return stripe_refund(name, "pay_1", clock.now(), int(asked["amount"]), status=state)

    return Refunds(header("idempotency-key"), made)


@pytest.mark.parametrize("provider", list(PROVIDERS))
async def test_each_provider_is_asked_once_and_the_request_is_settled(
    till: Till, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    _, fake, path, expected = PROVIDERS[provider]
    _, placed = await paid(till, provider, f"SEND-{provider}")
    async with at(fake, provider, monkeypatch):
        await want(till, placed)
        await till.work()
        await later(till)
    (payment,) = await till.payments(placed.order_id)
    (request,) = await refunds(till, placed)
    assert (request.state, request.sent_as, request.sending_error) == ("succeeded", "re_1", None)
    assert (payment.state, payment.refunded.amount) == ("partly_refunded", 500)
    ((asked_path, asked),) = fake.asked
    rows = await till.rows("SELECT external_id FROM captures WHERE payment_id = $1", payment.id)
    capture = rows[0]["external_id"] if rows else ""
    name = payment.external_id
    assert asked_path == path.replace("{capture}", capture).replace("pay_1", name)
    assert {key: asked[key] for key in expected} == {
        key: name if value == "pay_1" else value for key, value in expected.items()
    }
    assert f"payments.refund.{request.id}" in [each["cause"] for each in await till.events("platform.alert_cleared")]


async def hear_refund(till: Till, gateway: PaymentGateway, state: str = "succeeded", amount: int = 500) -> str:
    """Stripe's own callback about the refund; what became of it."""
    event = a.stripe_event("refund.updated", stripe_refund("re_1", "pay_1", clock.now(), amount, status=state))
    assert (await till.post(a.as_body(event), to=gateway.id)).status_code == 200
    await till.work()
    return next(each.status for each in await till.callbacks(gateway=gateway.id) if each.event_id == event["id"])


@pytest.mark.parametrize("first", ["callback", "answer"])
async def test_its_callback_before_after_or_twice_has_one_effect(
    till: Till, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    gateway, placed = await paid(till, "stripe", "ORDER-1")
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        if first == "callback":
            # It was made, its answer is lost, its callback comes before it is asked for again.
            fake.answers = [JSONResponse({}, 500)]
        await want(till, placed)
        await till.work()
        statuses = [await hear_refund(till, gateway), await hear_refund(till, gateway)]
        await later(till)
    assert statuses == (["processed", "ignored"] if first == "callback" else ["ignored", "ignored"])
    (payment,) = await till.payments(placed.order_id)
    (request,) = await refunds(till, placed)
    assert (payment.refunded.amount, request.state, len(fake.known)) == (500, "succeeded", 1)
    assert len(await till.events("payments.payment_changed")) == 2


async def test_one_that_is_pending_there_is_settled_by_its_callback_and_not_sent_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, placed = await paid(till, "stripe", "PEND-1")
    async with at(stripe_refunds("pending"), "stripe", monkeypatch) as fake:
        await want(till, placed)
        await till.work()
        (request,) = await refunds(till, placed)
        assert (request.state, request.sent_as) == ("requested", "re_1")
        # The same is wanted once more, and is requested already.
        await later(till)
        assert await hear_refund(till, gateway) == "processed"
    (request,) = await refunds(till, placed)
    assert (request.state, len(fake.asked)) == ("succeeded", 1)


async def test_adyen_receives_it_and_tells_later_what_became_of_it(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, placed = await paid(till, "adyen", "ADY-1", credentials='{"api_key": "adyen_key"}')
    (payment,) = await till.payments(placed.order_id)
    told = g.sender(gateway, "ADY-1", payment=payment.external_id).say("refunded")
    item = orjson.loads(told.body)["notificationItems"][0]["NotificationRequestItem"]

    def received(_name: str, asked: dict[str, Any]) -> dict[str, Any]:
        return {"status": "received", "pspReference": item["pspReference"], "amount": asked["amount"]}

    async with at(Refunds(header("idempotency-key"), received), "adyen", monkeypatch) as fake:
        await want(till, placed)
        await till.work()
    (payment,) = await till.payments(placed.order_id)
    (request,) = await refunds(till, placed)
    assert (request.state, request.sent_as, payment.refunded.amount) == ("requested", item["pspReference"], 0)
    ((path, asked),) = fake.asked
    assert path == f"/v71/payments/{payment.external_id}/refunds"
    assert (asked["merchantAccount"], asked["amount"]) == ("TestMerchant", {"value": 500, "currency": "USD"})
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=told.body, headers=told.headers)
    assert answer.status_code == 200
    await till.work()
    (request,) = await refunds(till, placed)
    (payment,) = await till.payments(placed.order_id)
    assert (request.state, payment.refunded.amount) == ("succeeded", 500)


async def test_adyens_live_address_is_the_merchants_own(till: Till) -> None:
    for prefix in ("evil.example/", "a b", "-x", "x.y", ""):
        settings = {"merchant_account": "TestMerchant", "live_prefix": prefix}
        with pytest.raises(CarriedError) as refused:
            await g.open_gateway(till.process, till.organization_id, "adyen", settings=settings)
        assert refused.value.code == "invalid_gateway_settings", prefix


@pytest.mark.parametrize(
    "answer",
    [
        lambda: JSONResponse({}, 503),
        lambda: JSONResponse({}, 429, {"Retry-After": "60"}),
        lambda: PlainTextResponse("<html>"),
        lambda: PlainTextResponse('{"id": "re_1", "amou'),
    ],
)
async def test_without_an_answer_it_is_asked_again_with_the_same_key(
    till: Till, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    _, placed = await paid(till, "stripe", "AGAIN-1")
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        fake.answers = [answer(), answer()]
        await want(till, placed)
        await till.work()
        for _ in range(3):
            await later(till)
    (payment,) = await till.payments(placed.order_id)
    assert (payment.refunded.amount, len(fake.asked), len(fake.known)) == (500, 3, 1)


async def test_a_worker_that_dies_after_it_was_sent_sends_nothing_twice(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, placed = await paid(till, "stripe", "DIE-1")
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        await want(till, placed)
        real = sending.take_in

        async def dying(*_arguments: Any) -> None:
            raise asyncio.CancelledError

        monkeypatch.setattr(sending, "take_in", dying)
        with pytest.raises(asyncio.CancelledError):
            await till.work()
        monkeypatch.setattr(sending, "take_in", real)
        await till.work()
    (payment,) = await till.payments(placed.order_id)
    assert (payment.refunded.amount, len(fake.asked), len(fake.known)) == (500, 2, 1)


async def test_what_is_refused_stays_with_people_who_are_told_why(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    _, placed = await paid(till, "stripe", "NO-1", credentials='{"api_key": "sk_test_secret"}')
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        fake.is_forgetful = True
        fake.answers = [JSONResponse({"error": {"message": "Insufficient funds for sk_test_secret"}}, 400)]
        await want(till, placed)
        await till.work()
        await later(till)
    (request,) = await refunds(till, placed)
    assert (request.state, request.sent_as, len(fake.asked)) == ("requested", None, 1)
    assert "Insufficient funds" in (request.sending_error or "")
    assert "sk_test_secret" not in (request.sending_error or "")
    alert = (await till.events("platform.alert_raised"))[-1]
    assert (alert["cause"], alert["severity"]) == (f"payments.refund.{request.id}", "error")
    assert alert["detail"].startswith("5.00 USD: ")
    closed = await till.ask(CloseRefund(refund_id=request.id, reason="sent from the dashboard"))
    assert closed.state == "closed"


async def test_what_found_no_end_in_time_is_never_sent_again(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    _, placed = await paid(till, "stripe", "LONG-1")
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        fake.answers = [JSONResponse({}, 500)]
        await want(till, placed)
        await till.work()
        much_later = clock.now() + sending.LONGEST + timedelta(minutes=1)
        with clock.replaced(lambda: much_later):
            await later(till)
    (request,) = await refunds(till, placed)
    assert (request.state, len(fake.asked)) == ("requested", 1)
    assert "not known" in (request.sending_error or "")


async def test_only_what_is_left_is_sent_and_nothing_of_what_is_disputed(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, placed = await paid(till, "stripe", "LEFT-1")
    async with at(stripe_refunds(), "stripe", monkeypatch) as fake:
        await want(till, placed)
        # Somebody has sent a part of it from the dashboard before the worker came.
        event = a.stripe_event("charge.refunded", a.charge("LEFT-1", refunded=200, payment_intent="pay_1"))
        assert (await till.post(a.as_body(event), to=gateway.id)).status_code == 200
        kinds = ["payments.process_callback"]
        uow = till.unit_of_work()
        await uow.execute("UPDATE tasks SET due_at = now() + interval '1 hour' WHERE kind <> ALL($1)", kinds)
        await uow.commit()
        await till.work()
        uow = till.unit_of_work()
        await uow.execute("UPDATE tasks SET due_at = now()")
        await uow.commit()
        await till.work()
        assert [asked["amount"] for _, asked in fake.asked] == ["300"]
        dispute = {"id": "dp_1", "object": "dispute", "payment_intent": "pay_1", "amount": 1499, "currency": "usd"}
        event = a.stripe_event("charge.dispute.created", dispute | {"status": "needs_response"})
        assert (await till.post(a.as_body(event), to=gateway.id)).status_code == 200
        await till.work()
        await till.hear(
            OrderCancelled(order_id=placed.order_id, number=placed.number, shop_id=till.shop_id, reason="fraud")
        )
        await till.work()
    assert len(fake.asked) == 1


async def test_without_credentials_it_waits_for_a_person(till: Till) -> None:
    placed = await till.place("HAND-1")
    await till.tell("payment_intent.succeeded", a.intent("HAND-1"))
    await want(till, placed)
    await till.work()
    (request,) = await refunds(till, placed)
    assert (request.state, request.sent_as, request.sending_error) == ("requested", None, None)
