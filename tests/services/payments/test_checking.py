"""What cannot be judged without the network: PayPal's certificates, and the payments that Mollie only names."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from deploy.callback_samples import Sample
from services.payments import flood, tasks
from services.payments.settings import payments_settings
from services.payments.use_cases import checking
from shared import clock
from shared.bus.envelope import service_envelope
from shared.contracts.payments.messages import ChangePaymentGateway, ReplayCallback
from shared.contracts.payments.shapes import PaymentGateway
from shared.security import SecretText
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.fakes.mollie import Mollie, payment, serving_mollie
from tests.fakes.servers import serving
from tests.services.payments.conftest import Till


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Say where the providers' APIs are, as the environment of the installation would."""

    def say(bases: dict[str, str]) -> None:
        monkeypatch.setattr(payments_settings(), "provider_apis", bases)

    return say


async def _post(till: Till, gateway: PaymentGateway, sample: Sample, **headers: str) -> Any:
    sent = sample.headers | headers
    return await till.door.post(f"/callbacks/{gateway.id}", content=sample.body, headers=sent)


async def _due_now(till: Till) -> None:
    """As if the time of what waits had come."""
    uow = till.unit_of_work()
    await uow.execute("UPDATE tasks SET due_at = now() WHERE kind = 'payments.check_callback'")
    await uow.commit()
    await till.work()


# --- PayPal


@dataclass
class PayPal:
    """PayPal's host of certificates."""

    base: str = ""
    pem: str = field(default_factory=lambda: g.paypal_keys()[1])
    status: int = 200
    asked: int = 0

    @property
    def url(self) -> str:
        return f"{self.base}/v1/notifications/certs/CERT-1"

    async def certificate(self, _request: Request) -> Response:
        self.asked += 1
        return PlainTextResponse(self.pem, self.status)


@pytest.fixture
async def paypal(apis: Callable[[dict[str, str]], None]) -> AsyncIterator[PayPal]:
    fake = PayPal()
    async with serving(("GET", "/v1/notifications/certs/{name}", fake.certificate)) as base:
        fake.base = base
        apis({"paypal": base})
        yield fake


async def _paypal_gateway(till: Till) -> PaymentGateway:
    return await g.open_gateway(till.process, till.organization_id, "paypal", settings={"webhook_id": "WH-TESTS"})


@pytest.mark.feature("PAY-2", "PAY-3")
async def test_a_certificate_is_fetched_once_by_the_worker_and_then_known(till: Till, paypal: PayPal) -> None:
    placed = await till.place("CERT-1")
    gateway = await _paypal_gateway(till)
    sender = g.sender(gateway, "CERT-1")
    for kind in ("authorised", "captured"):
        assert (await _post(till, gateway, sender.say(kind), **{"Paypal-Cert-Url": paypal.url})).status_code == 200
    waiting = await till.callbacks(gateway=gateway.id)
    assert [callback.status for callback in waiting] == ["received", "received"]
    assert (await till.payments(), paypal.asked) == ([], 0)
    await till.work()
    done = await till.callbacks(gateway=gateway.id)
    assert [(c.status, [a.kind for a in c.attempts]) for c in done] == [("processed", ["check"])] * 2
    assert [payment.state for payment in await till.payments(placed.order_id)] == ["captured"]
    assert paypal.asked == 1
    # As after the seconds that a process remembers that it is not there.
    till.intake.forget_gateways()
    later = sender.say("refunded")
    assert (await _post(till, gateway, later, **{"Paypal-Cert-Url": paypal.url})).status_code == 200
    (callback, *_) = await till.callbacks(gateway=gateway.id)
    assert (await till.callback(callback.id)).is_verified is True
    assert paypal.asked == 1


@pytest.mark.feature("PAY-3")
async def test_what_turns_out_to_be_forged_has_no_effect_and_hides_nothing_genuine(till: Till, paypal: PayPal) -> None:
    await till.place("CERT-2")
    gateway = await _paypal_gateway(till)
    told = g.sender(gateway, "CERT-2").say("captured")
    forged = Sample(told.body, told.headers | {"Paypal-Transmission-Sig": "AAAA"})
    for each in (forged, told):
        assert (await _post(till, gateway, each, **{"Paypal-Cert-Url": paypal.url})).status_code == 200
    await till.work()
    callbacks = await till.callbacks(gateway=gateway.id)
    assert sorted((c.status, c.reason) for c in callbacks) == [("invalid", "wrong_signature"), ("processed", None)]
    assert len(await till.events("payments.payment_changed")) == 1


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com:444/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com/v1/oauth2/token",
        "https://api.sandbox.paypal.com/v1/notifications/certs/../../x",
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1?x=1",
        # Of the other environment than the gateway's.
        "https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
        "https://[",
    ],
)
async def test_certificates_from_elsewhere_are_refused_without_a_request(till: Till, url: str) -> None:
    gateway = await _paypal_gateway(till)
    told = g.sender(gateway, "CERT-3").say("captured")
    answer = await _post(till, gateway, told, **{"Paypal-Cert-Url": url})
    assert (answer.status_code, "certificate_not_allowed" in answer.text) == (400, True)
    assert await till.rows("SELECT FROM tasks WHERE kind = 'payments.check_callback'") == []


@pytest.mark.feature("PAY-3")
async def test_sha1_is_refused(till: Till, paypal: PayPal) -> None:
    gateway = await _paypal_gateway(till)
    told = g.sender(gateway, "CERT-4").say("captured")
    answer = await _post(till, gateway, told, **{"Paypal-Cert-Url": paypal.url, "Paypal-Auth-Algo": "SHA1withRSA"})
    assert (answer.status_code, "algorithm_not_allowed" in answer.text) == (400, True)


@pytest.mark.feature("PAY-3", "PAY-6")
async def test_a_certificate_that_had_expired_is_fetched_anew_for_a_replay(till: Till, paypal: PayPal) -> None:
    await till.place("CERT-5")
    gateway = await _paypal_gateway(till)
    told = g.sender(gateway, "CERT-5").say("captured")
    after_its_end = datetime(2050, 6, 1, tzinfo=UTC)
    with clock.replaced(lambda: after_its_end):
        assert (await _post(till, gateway, told, **{"Paypal-Cert-Url": paypal.url})).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("invalid", "certificate_expired")
    replayed = await till.ask(ReplayCallback(callback_id=callback.id))
    assert (replayed.status, replayed.reason) == ("received", "to_be_checked")
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, paypal.asked) == ("invalid", 2)


@pytest.mark.feature("PAY-2", "PAY-7")
async def test_a_certificate_that_cannot_be_had_is_asked_for_again_and_in_the_end_a_person_is(
    till: Till, paypal: PayPal
) -> None:
    await till.place("CERT-6")
    gateway, paypal.status = await _paypal_gateway(till), 503
    told = g.sender(gateway, "CERT-6").say("captured")
    assert (await _post(till, gateway, told, **{"Paypal-Cert-Url": paypal.url})).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("retrying", "not_checked_yet")
    for _ in range(checking.MOST_CHECKS):
        await _due_now(till)
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, paypal.asked) == ("failed", "check_gave_up", checking.MOST_CHECKS)
    assert len(await till.events("platform.alert_raised")) == 1
    paypal.status = 200
    await till.ask(ReplayCallback(callback_id=callback.id))
    await till.work()
    assert (await till.callback(callback.id)).status == "processed"
    assert len(await till.events("platform.alert_cleared")) == 1


@pytest.mark.feature("PAY-2")
async def test_waits_grow_and_are_never_the_same() -> None:
    for tries, longest in ((0, 5), (3, 40), (30, 3600)):
        waits = {checking.wait_seconds(tries) for _ in range(20)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)


# --- Mollie


@pytest.fixture
async def mollie(apis: Callable[[dict[str, str]], None]) -> AsyncIterator[Mollie]:
    async with serving_mollie() as (fake, base):
        apis({"mollie": base})
        yield fake


async def _mollie_gateway(till: Till, **fields: Any) -> PaymentGateway:
    options = {"secrets": (), "credentials": '{"api_key": "test_key"}'} | fields
    return await g.open_gateway(till.process, till.organization_id, "mollie", **options)


async def _name(till: Till, gateway: PaymentGateway, name: str = "tr_1") -> int:
    answer = await till.door.post(
        f"/callbacks/{gateway.id}",
        content=f"id={name}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    await till.work()
    return int(answer.status_code)


@pytest.mark.feature("PAY-3", "PAY-5")
async def test_what_mollie_names_is_read_each_time_anew(till: Till, mollie: Mollie) -> None:
    placed = await till.place("MOL-1")
    gateway = await _mollie_gateway(till)
    states = []
    refund = {"id": "re_1", "status": "refunded", "amount": {"value": "5.00", "currency": "USD"}}
    chargeback = {"id": "chb_1", "amount": {"value": "14.99", "currency": "USD"}, "reversedAt": None}
    for now in (
        payment("MOL-1", "open"),
        payment("MOL-1", "authorized"),
        payment("MOL-1"),
        payment("MOL-1"),
        payment("MOL-1", _embedded={"refunds": [refund], "chargebacks": []}),
        payment("MOL-1", _embedded={"refunds": [refund], "chargebacks": [chargeback]}),
        payment("MOL-1", _embedded={"refunds": [refund], "chargebacks": [chargeback | {"reversedAt": "2026-12-01"}]}),
    ):
        mollie.payments["tr_1"] = now
        assert await _name(till, gateway) == 200
        states += [payment.state for payment in await till.payments(placed.order_id)]
    assert states == ["authorised", "captured", "captured", "partly_refunded", "disputed", "partly_refunded"]
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.deliveries, mollie.asked) == ("processed", 7, 7)


@pytest.mark.feature("PAY-3")
async def test_known_and_unknown_payments_are_answered_alike(till: Till, mollie: Mollie) -> None:
    gateway = await _mollie_gateway(till)
    assert await _name(till, gateway, "tr_unknown") == 200
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("invalid", "unknown_at_provider")
    assert await _name(till, gateway, "nothing") == 400


@pytest.mark.feature("PAY-2", "PAY-3")
async def test_a_read_that_fails_is_repeated_and_nothing_is_lost(till: Till, mollie: Mollie) -> None:
    await till.place("MOL-2")
    gateway = await _mollie_gateway(till)
    mollie.payments["tr_1"], mollie.status = payment("MOL-2"), 500
    assert await _name(till, gateway) == 200
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert callback.status == "retrying"
    mollie.status = 200
    await _due_now(till)
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, [payment.state for payment in await till.payments()]) == ("processed", ["captured"])


@pytest.mark.feature("PAY-7")
@pytest.mark.parametrize("then", ["processed", "invalid", "check_gave_up"])
async def test_what_had_failed_and_is_read_anew_ends_its_alert_whatever_comes_of_it(
    till: Till, mollie: Mollie, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    gateway = await _mollie_gateway(till)
    await till.place("MOL-4", total=500)
    mollie.payments["tr_1"] = payment("MOL-4")
    assert await _name(till, gateway) == 200
    (alert,) = await till.events("platform.alert_raised")
    mollie.status = 503
    if then == "check_gave_up":
        monkeypatch.setattr(checking, "MOST_CHECKS", 1)
        assert await _name(till, gateway) == 200
    else:
        assert await _name(till, gateway) == 200
        (callback,) = await till.callbacks(gateway=gateway.id)
        assert callback.status == "retrying"
        mollie.status = 200
        mollie.payments = {"tr_1": payment("MOL-4", amount={"value": "5.00", "currency": "USD"})}
        if then == "invalid":
            mollie.payments.clear()
        await _due_now(till)
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert then in (callback.status, callback.reason)
    assert {event["cause"] for event in await till.events("platform.alert_cleared")} == {alert["cause"]}


@pytest.mark.feature("PAY-1")
async def test_without_credentials_a_person_is_asked(till: Till, mollie: Mollie) -> None:
    await till.place("MOL-3")
    gateway = await _mollie_gateway(till, credentials='{"api_key": "test_key"}')
    bare = await g.open_gateway(till.process, till.organization_id, "mollie")
    mollie.payments["tr_1"] = payment("MOL-3")
    assert (gateway.has_credentials, bare.has_credentials) == (True, False)
    assert await _name(till, bare) == 200
    (callback,) = await till.callbacks(gateway=bare.id)
    assert (callback.status, callback.reason) == ("failed", "no_api_credentials")
    credentials = SecretText('{"api_key": "test_key"}')
    changed = await till.ask(ChangePaymentGateway(gateway_id=bare.id, credentials=credentials))
    assert changed.has_credentials
    await till.ask(ReplayCallback(callback_id=callback.id))
    await till.work()
    assert (await till.callback(callback.id)).status == "processed"
    rows = await till.rows("SELECT sealed FROM gateway_credentials")
    assert all("test_key" not in row["sealed"] for row in rows)


@pytest.mark.feature("PAY-3")
async def test_classic_callbacks_can_be_forbidden(till: Till) -> None:
    gateway = await _mollie_gateway(till, settings={"classic": False})
    assert await _name(till, gateway) == 400


@pytest.mark.feature("PAY-3")
async def test_a_flood_of_what_is_to_be_checked_is_told_to_wait(
    till: Till, mollie: Mollie, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flood.REREAD_PER_MINUTE > 70 > flood.KEPT_PER_MINUTE
    gateway = await _mollie_gateway(till)
    monkeypatch.setattr(flood, "REREAD_PER_MINUTE", 70)
    codes = []
    for number in range(73):
        answer = await till.door.post(f"/callbacks/{gateway.id}", content=f"id=tr_{number}".encode())
        codes.append(answer.status_code)
    # A busy shop is sent more in a minute than is kept of what is forged.
    assert (codes[:70], codes[70:]) == ([200] * 70, [429] * 3)
    assert answer.json()["code"] == "too_many_unverified"
    # What is signed is taken all the same.
    told = g.sender(till.gateway, "FLOOD-1").say("captured")
    assert (await _post(till, till.gateway, told)).status_code == 200


@pytest.mark.feature("PAY-6")
async def test_old_bytes_go_and_a_repeat_after_a_year_is_known(till: Till) -> None:
    placed = await till.place("YEAR-1")
    told = g.sender(till.gateway, "YEAR-1").say("captured")
    assert (await _post(till, till.gateway, told)).status_code == 200
    unusable = a.as_body(a.stripe_event("payment_intent.succeeded", a.intent("YEAR-1", currency="eur")))
    assert (await till.post(unusable)).status_code == 200
    await till.work()
    failed, callback = await till.callbacks()
    year = clock.now() + timedelta(days=366)
    with clock.replaced(lambda: year):
        system = till.process.surroundings.unit_of_work(
            "payments", service_envelope("payments", None), across_tenants=True
        )
        await tasks.drop_old_bytes({}, system)
        await system.commit()
        detail = await till.callback(callback.id)
        assert (detail.body, detail.headers, detail.status) == ("", [], "processed")
        # The provider signs each delivery anew.
        again = g.sender(till.gateway, "YEAR-1", at=year).sign(told.body)
        assert again.headers != told.headers
        assert (await _post(till, till.gateway, again)).status_code == 200
        await till.work()
        assert (await till.callback(callback.id)).deliveries == 2
    assert len(await till.callbacks()) == 2
    (payment,) = await till.payments(placed.order_id)
    assert payment.version == 1
    # What a person has not decided on yet is kept whole, until then.
    assert ((await till.callback(failed.id)).status, (await till.callback(failed.id)).body != "") == ("failed", True)
