"""Callbacks with known verdicts, from the suites of the providers' own libraries, over HTTP at their recorded clock.

They lie beside the project; where they do not, these tests skip. Stripe's are in test_intake.py.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared import clock
from shared.contracts.payments.shapes import PaymentGateway
from tests.factories import gateways as g
from tests.services.payments.conftest import Till

_FOLDER = Path(__file__).parents[4] / "shared" / "data" / "payments"


def _document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return found


def _recorded(name: str, part: str = "vectors") -> list[Any]:
    if not _FOLDER.exists():
        return [pytest.param({}, marks=pytest.mark.skip("the recorded cases are not here"))]
    return [pytest.param(case, id=case["id"]) for case in _document(name)[part]]


async def _judge(till: Till, gateway: PaymentGateway, case: dict[str, Any], at: datetime | None = None) -> None:
    """Post a case and hold the answer and the record against its verdict."""
    headers: list[tuple[str, str]] = []
    for name, value in case["headers"].items():
        headers += [(name, each) for each in (value if isinstance(value, list) else [value])]
    at = datetime.fromtimestamp(case["clock"], UTC) if "clock" in case else at or clock.now()
    with clock.replaced(lambda: at):
        answer = await till.door.post(f"/callbacks/{gateway.id}", content=case["body"].encode(), headers=headers)
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    # What is shown is masked; what is kept is not.
    (row,) = await till.rows("SELECT body FROM callbacks WHERE id = $1", callback.id)
    assert row["body"] == case["body"].encode()
    if case["expect"] == "valid":
        assert answer.status_code == 200, answer.text
        assert callback.status in ("ignored", "failed", "waiting")
        if case.get("processable") is False:
            assert callback.status in ("ignored", "failed")
    else:
        assert (answer.status_code, callback.status) == (400, "invalid"), answer.text
    assert await till.payments() == []


async def _gateway(till: Till, provider: str, secrets: Any, settings: dict[str, Any] | None = None) -> PaymentGateway:
    options = {"secrets": tuple(secrets), "settings": settings or {}}
    return await g.open_gateway(till.process, till.organization_id, provider, **options)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("adyen"))
async def test_adyen(till: Till, case: dict[str, Any]) -> None:
    item: dict[str, Any] = {}
    if case["kind"] == "standard-notification":
        item = json.loads(case["body"])["notificationItems"][0]["NotificationRequestItem"]
    account = item.get("merchantAccountCode", "TestMerchant")
    await _judge(till, await _gateway(till, "adyen", [case["secret"]], {"merchant_account": account}), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("braintree"))
async def test_braintree(till: Till, case: dict[str, Any]) -> None:
    await _judge(till, await _gateway(till, "braintree", [json.dumps(case["secret"])]), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("braintree", "challenge_vectors"))
async def test_braintrees_challenges(till: Till, case: dict[str, Any]) -> None:
    keys = {"public_key": "integration_public_key", "private_key": "integration_private_key"}
    gateway = await _gateway(till, "braintree", [json.dumps(keys)])
    answer = await till.door.get(f"/callbacks/{gateway.id}", params=case["query"])
    assert answer.status_code == (400 if case["expect_status"] == "4xx" else case["expect_status"])
    if "expect_body" in case:
        assert answer.text == case["expect_body"]


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("square"))
async def test_square(till: Till, case: dict[str, Any]) -> None:
    settings = {"notification_url": case["notification_url"]}
    # A gateway is never made without its key; what is signed with none meets another one.
    await _judge(till, await _gateway(till, "square", [case["secret"] or "some key"], settings), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("razorpay"))
async def test_razorpay(till: Till, case: dict[str, Any]) -> None:
    await _judge(till, await _gateway(till, "razorpay", [case["secret"]]), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("standard-webhooks"))
async def test_standard_webhooks(till: Till, case: dict[str, Any]) -> None:
    await _judge(till, await _gateway(till, "standard-webhooks", [case["secret"]]), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("convoy-generic-hmac"))
async def test_generic_hmac(till: Till, case: dict[str, Any]) -> None:
    settings = {
        "header": "X-Convoy-Signature",
        "hash": case["hash"],
        "encoding": case["encoding"],
        "signed": "timestamp,body" if case["advanced"] else "body",
    }
    await _judge(till, await _gateway(till, "generic-hmac", [case["secret"]], settings), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("mollie"))
async def test_mollie(till: Till, case: dict[str, Any]) -> None:
    # Two secrets may live at once: a third stands in the place of the first.
    secrets = case["secrets"][-2:] if len(case["secrets"]) > 2 else case["secrets"]
    await _judge(till, await _gateway(till, "mollie", secrets), case)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("mollie", "classic_vectors"))
async def test_mollies_classic_callbacks_are_answered_alike_and_prove_nothing(till: Till, case: dict[str, Any]) -> None:
    gateway = await _gateway(till, "mollie", ["test_webhook_secret"])
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=case["body"].encode(), headers=case["headers"])
    assert answer.status_code == (200 if case["expect"] == "unsigned" else 400), answer.text
    (callback,) = await till.callbacks(gateway=gateway.id)
    detail = await till.callback(callback.id)
    assert detail.is_verified is False
    assert callback.status == ("received" if case["expect"] == "unsigned" else "invalid")


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("paypal"))
async def test_paypal(till: Till, case: dict[str, Any]) -> None:
    gateway = await _paypal(till, case)
    sent = datetime.fromisoformat(case["headers"]["Paypal-Transmission-Time"])
    await _judge(till, gateway, case, sent)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("case", _recorded("paypal", "clock_vectors"))
async def test_paypals_certificate_that_has_expired(till: Till, case: dict[str, Any]) -> None:
    based = next(each for each in _document("paypal")["vectors"] if each["id"] == case["based_on"])
    gateway = await _paypal(till, based)
    with clock.replaced(lambda: datetime.fromtimestamp(case["clock"], UTC)):
        answer = await till.door.post(
            f"/callbacks/{gateway.id}", content=based["body"].encode(), headers=based["headers"]
        )
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (answer.status_code, callback.status, callback.reason) == (400, "invalid", "certificate_expired")


async def _paypal(till: Till, case: dict[str, Any]) -> PaymentGateway:
    """A gateway whose tenant has the certificate already."""
    gateway = await _gateway(till, "paypal", [], {"webhook_id": case["webhook_id"]})
    uow = till.unit_of_work()
    await uow.execute(
        "INSERT INTO certificates VALUES ($1, $2, $3, now()) ON CONFLICT DO NOTHING",
        till.organization_id,
        case["headers"]["Paypal-Cert-Url"],
        _document("paypal")["certificates"][case["cert"]]["pem"],
    )
    await uow.commit()
    return gateway
