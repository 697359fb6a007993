"""One contract for every provider: what is genuine is taken and takes effect, what is not is refused and kept."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from deploy.callback_samples import KINDS, NoSuchSample, Sample, adyen_item, adyen_notification, sign_braintree, signed
from deploy.callback_samples import Signing as SigningOf
from services.payments.arrivals import CHECK
from services.payments.gateways.base import GENUINE
from services.payments.gateways.registry import PROVIDERS as ADAPTERS
from shared import clock
from shared.contracts.payments.messages import ChangePaymentGateway, CreatePaymentGateway, ReplayCallback
from shared.contracts.payments.shapes import PaymentGateway
from shared.errors import CarriedError
from shared.identifiers import new_id
from shared.security import SecretText
from tests.factories import gateways as g
from tests.factories import payments as a
from tests.services.payments.conftest import Till

# Mollie signs what concerns payment links; all else it only names, and its API tells (test_mollie.py).
SIGNING = tuple(provider for provider in g.PROVIDERS if provider != "mollie")
ANSWERS = {"adyen": "[accepted]", "mollie": "", "braintree": ""}


async def _open(till: Till, provider: str, **fields: Any) -> PaymentGateway:
    return await g.open_gateway(till.process, till.organization_id, provider, **fields)


async def _post(till: Till, gateway: PaymentGateway, sample: Sample) -> Any:
    return await till.door.post(f"/callbacks/{gateway.id}", content=sample.body, headers=sample.headers)


def test_every_registered_provider_is_under_this_contract() -> None:
    assert set(ADAPTERS) == set(g.PROVIDERS)


@pytest.mark.feature("PAY-1", "PAY-2", "PAY-5")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_a_payment_is_captured(till: Till, provider: str) -> None:
    placed = await till.place("CON-1")
    gateway = await _open(till, provider)
    sender = g.sender(gateway, "CON-1")
    answer = await _post(till, gateway, sender.say("captured"))
    assert (answer.status_code, answer.text) == (200, ANSWERS.get(provider, "{}"))
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.detail) == ("processed", None)
    (payment,) = await till.payments(placed.order_id)
    assert (payment.state, payment.captured and payment.captured.amount) == ("captured", 1999)
    assert payment.provider == provider


@pytest.mark.feature("PAY-5")
@pytest.mark.parametrize("provider", SIGNING)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_event(till: Till, provider: str, kind: str) -> None:
    await till.place("KIND-1")
    gateway = await _open(till, provider)
    sender = g.sender(gateway, "KIND-1")
    try:
        told = sender.say(kind)
    except NoSuchSample:
        pytest.skip(f"{provider} posts nothing that says '{kind}'")
    for each in (sender.say("captured"), told) if kind.startswith(("refund", "dispute")) else (told,):
        assert (await _post(till, gateway, each)).status_code == 200
    await till.work()
    (callback, *_) = await till.callbacks(gateway=gateway.id)
    if kind == "unknown":
        assert (callback.status, callback.reason, await till.payments()) == ("ignored", "informational", [])
        return
    # A refund that failed and a dispute that was won leave the payment as it was.
    assert callback.status == "processed", callback
    (payment,) = await till.payments()
    states = {"refunded": "partly_refunded", "refund_failed": "captured", "dispute_won": "captured"}
    states |= {"disputed": "disputed", "dispute_lost": "disputed"}
    assert payment.state == states.get(kind, kind)


def _tampered(sample: Sample) -> list[tuple[str, Sample]]:
    """The sample with each of its parts changed a little."""
    ways = [("body", Sample(sample.body.replace(b"1999", b"1998").replace(b"19.99", b"19.98"), sample.headers))]
    if b"bt_payload" in sample.body:
        form = {name: values[0] for name, values in parse_qs(sample.body.decode()).items()}
        other = base64.encodebytes(base64.b64decode(form["bt_payload"]).replace(b"19.99", b"19.98")).decode()
        ways = [
            ("payload", Sample(urlencode(form | {"bt_payload": other}).encode(), sample.headers)),
            ("signature", Sample(urlencode(form | {"bt_signature": "x|y"}).encode(), sample.headers)),
            ("two pipes", Sample(urlencode(form | {"bt_signature": "a|b|c"}).encode(), sample.headers)),
            ("not ASCII", Sample(urlencode(form | {"bt_payload": "ü"}).encode(), sample.headers)),
            ("no signature", Sample(urlencode({"bt_payload": form["bt_payload"]}).encode(), sample.headers)),
        ]
    for name, value in sample.headers.items():
        if name != "Content-Type":
            ways += [
                (f"{name} cut", Sample(sample.body, sample.headers | {name: value[:-2]})),
                (f"{name} odd", Sample(sample.body, sample.headers | {name: "é"})),
                (f"no {name}", Sample(sample.body, {k: v for k, v in sample.headers.items() if k != name})),
            ]
    return ways


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_whatever_is_changed_is_refused_and_kept_and_has_no_effect(till: Till, provider: str) -> None:
    placed = await till.place("BAD-1")
    gateway = await _open(till, provider)
    told, refused, pending = g.sender(gateway, "BAD-1").say("captured"), 0, 0
    for what, forged in _tampered(told):
        if provider == "razorpay" and "Event-Id" in what:
            continue  # the one header that is not signed; it moves no money
        headers = {name: value.encode("latin-1") for name, value in forged.headers.items()}
        answer = await till.door.post(f"/callbacks/{gateway.id}", content=forged.body, headers=headers)
        if provider == "paypal" and "Cert-Url" in what and answer.status_code == 200:
            pending += 1
            continue  # another certificate of PayPal's is to be fetched first: test_checking.py
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature"), (what, answer.text)
        refused += 1
        kept = await till.callbacks(gateway=gateway.id, status="invalid")
        assert sum(callback.deliveries for callback in kept) == refused, what
    uow = till.unit_of_work()
    assert await uow.execute("DELETE FROM tasks WHERE kind = $1", CHECK) == f"DELETE {pending}"
    await uow.commit()
    await till.work()
    assert (await till.payments(), await till.callbacks(gateway=gateway.id, status="processed")) == ([], [])
    # As it was told it has one.
    assert (await _post(till, gateway, told)).status_code == 200
    await till.work()
    assert [payment.state for payment in await till.payments(placed.order_id)] == ["captured"]


@pytest.mark.feature("PAY-1", "PAY-3")
@pytest.mark.parametrize("provider", [provider for provider in g.PROVIDERS if provider != "paypal"])
async def test_two_secrets_live_and_the_retired_one_no_more(till: Till, provider: str) -> None:
    gateway = await _open(till, provider)
    new = {"adyen": "AA" * 32, "standard-webhooks": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}.get(provider, "new one")
    if provider == "braintree":
        new = '{"private_key": "new private", "public_key": "new_public"}'
    sender = g.sender(gateway, None)
    await till.ask(ChangePaymentGateway(gateway_id=gateway.id, add_secret=SecretText(new)))
    await _forget_gateways(till)
    for number, secret in enumerate((g.secret_of(provider), new)):
        answer = await _post(till, gateway, sender.say("captured", secret=secret, id=f"n{number}"))
        assert answer.status_code == 200, answer.text
    await till.ask(ChangePaymentGateway(gateway_id=gateway.id, retire_secret=gateway.secrets[0].id))
    await _forget_gateways(till)
    assert (await _post(till, gateway, sender.say("captured", id="late"))).status_code == 400
    assert (await _post(till, gateway, sender.say("captured", secret=new, id="later"))).status_code == 200


async def _forget_gateways(till: Till) -> None:
    """As after the few seconds that a process remembers a gateway."""
    till.intake.forget_gateways()


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_fifty_at_once_are_one_record_with_fifty_deliveries(till: Till, provider: str) -> None:
    placed = await till.place("FIFTY-1")
    gateway = await _open(till, provider)
    told = g.sender(gateway, "FIFTY-1").say("captured")
    answers = await asyncio.gather(*(_post(till, gateway, told) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.deliveries, callback.status) == (50, "processed")
    assert len(await till.events("payments.payment_changed")) == 1
    assert len(await till.payments(placed.order_id)) == 1


@pytest.mark.feature("PAY-3", "ACC-1")
@pytest.mark.parametrize("provider", [provider for provider in g.PROVIDERS if provider != "paypal"])
async def test_what_is_signed_for_one_tenant_is_refused_for_another(till: Till, provider: str) -> None:
    gateway = await _open(till, provider)
    stranger = new_id()
    await a.open_shop(till.process, stranger)
    other = (
        g.secret_of(provider)[:-4] + "AbCd"
        if provider != "braintree"
        else json.dumps(g.BRAINTREE_KEYS | {"private_key": "x"})
    )
    if provider == "adyen":
        other = "AB" * 32
    theirs = await g.open_gateway(till.process, stranger, provider, secrets=(other,))
    told = g.sender(gateway, "X-1").say("captured")
    assert (await _post(till, gateway, told)).status_code == 200
    assert (await _post(till, theirs, told)).status_code == 400


@pytest.mark.feature("PAY-1")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_addresses_that_are_not_allowed_are_refused(till: Till, provider: str) -> None:
    gateway = await _open(till, provider, allowed_networks=["192.0.2.0/24"])
    answer = await _post(till, gateway, g.sender(gateway, "IP-1").say("captured"))
    assert (answer.status_code, answer.json()["code"]) == (403, "address_not_allowed")
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("invalid", "address_not_allowed")


@pytest.mark.feature("PAY-1")
@pytest.mark.parametrize("provider", ["stripe", "adyen", "mollie", "standard-webhooks", "generic-hmac"])
async def test_live_events_have_no_effect_at_a_gateway_in_test_mode(till: Till, provider: str) -> None:
    await till.place("MODE-1")
    gateway = await _open(till, provider)
    assert (await _post(till, gateway, g.sender(gateway, "MODE-1", is_live=True).say("captured"))).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, await till.payments()) == ("failed", "wrong_mode", [])


@pytest.mark.feature("PAY-1")
@pytest.mark.parametrize("live", [None, "yes", [], {}, 0])
async def test_what_does_not_say_whether_it_is_live_has_no_effect(till: Till, live: Any) -> None:
    """The rest of a notification of Adyen's is signed, and that is not."""
    await till.place("MODE-2")
    gateway = await _open(till, "adyen")
    told = g.sender(gateway, "MODE-2").say("captured")
    document = json.loads(told.body) | {"live": live}
    if live is None:
        del document["live"]
    assert (await _post(till, gateway, Sample(json.dumps(document).encode(), told.headers))).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, await till.payments()) == ("failed", "wrong_mode", [])


CURRENCIES = {
    "JPY": dict.fromkeys(g.PROVIDERS, 1999),
    "KWD": dict.fromkeys((p for p in g.PROVIDERS if p != "paypal"), 1990),
    "ISK": dict.fromkeys((p for p in g.PROVIDERS if p != "paypal"), 1999),
    "HUF": dict.fromkeys(g.PROVIDERS, 199900),
    "IDR": dict.fromkeys((p for p in g.PROVIDERS if p != "paypal"), 199900),
}


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("provider", g.PROVIDERS)
@pytest.mark.parametrize("currency", CURRENCIES)
async def test_amounts_have_the_exponent_of_provider_and_currency(till: Till, provider: str, currency: str) -> None:
    if provider not in CURRENCIES[currency]:
        pytest.skip(f"{provider} knows no {currency}")
    amount = CURRENCIES[currency][provider]
    await till.place("EXP-1", total=amount, currency=currency)
    gateway = await _open(till, provider)
    told = g.sender(gateway, "EXP-1", amount=amount, currency=currency).say("captured")
    assert (await _post(till, gateway, told)).status_code == 200
    await till.work()
    (payment,) = await till.payments()
    assert payment.captured is not None
    assert (payment.captured.amount, payment.captured.currency) == (amount, currency)


@pytest.mark.feature("PAY-4")
async def test_adyen_writes_isk_with_two_digits_and_idr_with_none(till: Till) -> None:
    gateway = await _open(till, "adyen")
    for currency, ours, theirs in (("ISK", 1999, 199900), ("IDR", 199900, 1999), ("CLP", 19, 1900)):
        body = json.loads(g.sender(gateway, "A", amount=ours, currency=currency).say("captured").body)
        assert body["notificationItems"][0]["NotificationRequestItem"]["amount"]["value"] == theirs


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize(
    ("provider", "old", "new", "currency"),
    [
        ("paypal", b'"value": "1999"', b'"value": "19.99"', "JPY"),
        ("adyen", b"199900", b"199901", "ISK"),
        ("razorpay", b"1990", b"1999", "KWD"),
    ],
)
async def test_amounts_that_their_currency_cannot_have_go_to_triage(
    till: Till, provider: str, old: bytes, new: bytes, currency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    amount = 1990 if currency == "KWD" else 1999
    await till.place("WRONG-1", total=amount, currency=currency)
    gateway = await _open(till, provider)
    adapter: Any = ADAPTERS[provider]
    # Signing it anew is not what is tried here.
    monkeypatch.setattr(type(adapter), "verify", lambda *_: GENUINE)
    told = g.sender(gateway, "WRONG-1", amount=amount, currency=currency).say("captured")
    assert old in told.body
    changed = Sample(told.body.replace(old, new), told.headers)
    assert (await _post(till, gateway, changed)).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, await till.payments()) == ("failed", "wrong_amount", [])


@pytest.mark.feature("PAY-1")
@pytest.mark.parametrize(
    ("provider", "settings", "secrets", "code"),
    [
        ("adyen", {}, ["AA"], "invalid_gateway_settings"),
        ("adyen", {"merchant_account": "M", "odd": 1}, ["AA"], "invalid_gateway_settings"),
        ("adyen", {"merchant_account": "M"}, ["no hex"], "invalid_secret"),
        ("paypal", {}, [], "invalid_gateway_settings"),
        ("paypal", {"webhook_id": "W", "test_certificate": "no"}, [], "invalid_gateway_settings"),
        ("square", {"notification_url": "ftp://x"}, ["s"], "invalid_gateway_settings"),
        ("stripe", {}, [], "invalid_secret"),
        ("braintree", {}, ["just a text"], "invalid_secret"),
        ("braintree", {}, ['{"public_key": "p"}'], "invalid_secret"),
        ("standard-webhooks", {}, ["whsec_"], "invalid_secret"),
        ("generic-hmac", {}, ["s"], "invalid_gateway_settings"),
        ("generic-hmac", {"header": "a b"}, ["s"], "invalid_gateway_settings"),
        ("generic-hmac", {"header": "X", "hash": "md5"}, ["s"], "invalid_gateway_settings"),
        ("generic-hmac", {"header": "X", "encoding": "rot13"}, ["s"], "invalid_gateway_settings"),
        ("generic-hmac", {"header": "X", "signed": "the moon"}, ["s"], "invalid_gateway_settings"),
        ("mollie", {"classic": "yes"}, [], "invalid_gateway_settings"),
    ],
)
async def test_gateways_that_make_no_sense(till: Till, provider: str, settings: Any, secrets: Any, code: str) -> None:
    texts = [SecretText(secret) for secret in secrets]
    with pytest.raises(CarriedError) as refused:
        await till.ask(CreatePaymentGateway(shop="main", provider=provider, settings=settings, secrets=texts))
    assert refused.value.code == code


# --- Adyen


def _adyen_signing(gateway: PaymentGateway) -> SigningOf:
    return SigningOf(g.SECRETS["adyen"], gateway.settings, gateway.callback_url)


@pytest.mark.feature("PAY-3")
async def test_items_of_a_good_batch_succeed_or_fail_singly(till: Till) -> None:
    placed = await till.place("BATCH-1")
    gateway = await _open(till, "adyen")
    sender, signing = g.sender(gateway, "BATCH-1"), _adyen_signing(gateway)
    items = [
        adyen_item("authorised", sender.facts, signing),
        adyen_item("captured", sender.facts, signing),
        adyen_item("captured", g.sender(gateway, "BATCH-1", amount=999999, payment="other", id="two").facts, signing),
        adyen_item("unknown", sender.facts, signing),
    ]
    body = adyen_notification(*items)
    answers = [await _post(till, gateway, Sample(body, {})) for _ in range(3)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "[accepted]")] * 3
    await till.work()
    callbacks = (await till.callbacks(gateway=gateway.id))[::-1]
    assert sorted((c.status, c.reason) for c in callbacks) == [
        ("failed", "amount_beyond_order"),
        ("ignored", "informational"),
        ("processed", None),
        ("processed", None),
    ]
    assert {callback.deliveries for callback in callbacks} == {3}
    (payment,) = await till.payments(placed.order_id)
    assert payment.state == "captured"


@pytest.mark.feature("PAY-3")
async def test_one_bad_item_refuses_the_whole_call(till: Till) -> None:
    await till.place("BATCH-2")
    gateway = await _open(till, "adyen")
    sender, signing = g.sender(gateway, "BATCH-2"), _adyen_signing(gateway)
    good, bad = adyen_item("authorised", sender.facts, signing), adyen_item("captured", sender.facts, signing)
    bad["amount"]["value"] = 1
    assert (await _post(till, gateway, Sample(adyen_notification(good, bad), {}))).status_code == 400
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, await till.payments()) == ("invalid", "wrong_signature", [])


@pytest.mark.feature("PAY-3")
async def test_colons_cannot_be_shifted_to_another_merchant_account(till: Till) -> None:
    gateway = await _open(till, "adyen")
    item = adyen_item("authorised", g.sender(gateway, "S-1").facts, _adyen_signing(gateway))
    shifted = item | {"merchantAccountCode": "TestMerchant:S-1", "merchantReference": ""}
    shifted["merchantReference"] = ""
    for changed in (
        item | {"merchantAccountCode": "", "merchantReference": "TestMerchant:S-1"},
        item | {"pspReference": "pay_1:", "originalReference": ""},
        shifted,
    ):
        answer = await _post(till, gateway, Sample(adyen_notification(changed), {}))
        assert answer.status_code == 400, answer.text
    other = g.sender(gateway, "S-1").facts
    elsewhere = adyen_item("authorised", other, SigningOf(g.SECRETS["adyen"], {"merchant_account": "Other"}, ""))
    answer = await _post(till, gateway, Sample(adyen_notification(elsewhere), {}))
    assert (answer.status_code, "wrong_merchant_account" in answer.text) == (400, True)


@pytest.mark.feature("PAY-5")
async def test_an_account_that_captures_at_once_says_so_with_its_authorisation(till: Till) -> None:
    await till.place("AUTO-1")
    gateway = await _open(till, "adyen", settings={"merchant_account": "TestMerchant", "auto_capture": True})
    assert (await _post(till, gateway, g.sender(gateway, "AUTO-1").say("authorised"))).status_code == 200
    await till.work()
    assert [payment.state for payment in await till.payments()] == ["captured"]


@pytest.mark.feature("PAY-3")
async def test_a_boolean_success_is_signed_like_its_text(till: Till) -> None:
    gateway = await _open(till, "adyen")
    item = adyen_item("authorised", g.sender(gateway, "B-1").facts, _adyen_signing(gateway)) | {"success": True}
    assert (await _post(till, gateway, Sample(adyen_notification(item), {}))).status_code == 200


# --- Square, Standard Webhooks, Braintree


@pytest.mark.feature("PAY-3")
async def test_square_is_checked_against_the_address_it_was_told_and_not_the_host(till: Till) -> None:
    gateway = await _open(till, "square")
    told = g.sender(gateway, "SQ-1").say("captured")
    moved = Sample(told.body, told.headers | {"Host": "evil.example"})
    assert (await _post(till, gateway, moved)).status_code == 200
    default = await _open(till, "square", settings={})
    assert (await _post(till, default, g.sender(default, "SQ-1").say("captured"))).status_code == 200
    assert (await _post(till, default, told)).status_code == 400


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("provider", ["stripe", "standard-webhooks", "generic-hmac"])
@pytest.mark.parametrize(("seconds", "status"), [(-298, 200), (298, 200), (-302, 400), (302, 400)])
async def test_freshness_in_both_directions(till: Till, provider: str, seconds: int, status: int) -> None:
    gateway = await _open(till, provider)
    moment = clock.now()
    told = g.sender(gateway, "F-1", at=moment + timedelta(seconds=seconds)).say("captured")
    with clock.replaced(lambda: moment):
        assert (await _post(till, gateway, told)).status_code == status


@pytest.mark.feature("PAY-3")
async def test_what_svix_sends_under_names_of_its_own(till: Till) -> None:
    gateway = await _open(till, "standard-webhooks")
    told = g.sender(gateway, "SV-1").say("captured")
    renamed = {name.replace("webhook-", "svix-"): value for name, value in told.headers.items()}
    signature = renamed["svix-signature"]
    for value in (signature, f"v1,not-base64 junk v1a,x {signature}"):
        answer = await _post(till, gateway, Sample(told.body, renamed | {"svix-signature": value}))
        assert answer.status_code == 200, answer.text


@pytest.mark.feature("PAY-3")
async def test_braintree_asks_with_a_challenge(till: Till) -> None:
    keys = '{"public_key": "integration_public_key", "private_key": "integration_private_key"}'
    gateway = await _open(till, "braintree", secrets=(keys,))

    async def asked(**query: str) -> Any:
        return await till.door.get(f"/callbacks/{gateway.id}", params=query)

    good = await asked(bt_challenge="20f9f8ed05f77439fe955c977e4c8a53")
    assert (good.status_code, good.text) == (200, "integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4")
    for bad in ("bad challenge", "20f9f8ed05f77439fe955c977e4c8a53\n", "", "20F9F8ED05F77439FE955C977E4C8A53"):
        assert (await asked(bt_challenge=bad)).status_code == 400
    assert (await till.door.get(f"/callbacks/{gateway.id}")).status_code == 400
    assert (await till.door.get(f"/callbacks/{till.gateway.id}")).status_code == 405


@pytest.mark.feature("PAY-3")
async def test_a_document_type_is_never_expanded(till: Till) -> None:
    gateway = await _open(till, "braintree")
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><notification><kind>&b;</kind></notification>"
    payload = base64.encodebytes(bomb.encode())
    sender = g.sender(gateway, "DTD-1")
    told = sign_braintree(payload, sender.facts, SigningOf(g.SECRETS["braintree"], {}, ""))
    assert (await _post(till, gateway, told)).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("failed", "unreadable_callback")
    assert "document type" in (callback.detail or "")


def _unreadable(gateway: PaymentGateway, secret: Any = None) -> Sample:
    """A body with a byte that is not UTF-8, signed as the provider would sign it."""
    sender, body = g.sender(gateway, "BYTE-1"), b'{"id": "\xff", "type": "payment.captured"}'
    secret = secret or g.secret_of(gateway.provider)
    if gateway.provider == "adyen":
        # As a whole, as its platform webhooks are: what is signed item by item has its signatures in the JSON.
        mac = hmac.new(bytes.fromhex(secret), body, hashlib.sha256).digest()
        return Sample(body, {"HmacSignature": base64.b64encode(mac).decode()})
    if gateway.provider == "braintree":
        body = base64.encodebytes(b"<notification><kind>\xff</kind></notification>")
    return signed(gateway.provider, body, sender.facts, SigningOf(secret, gateway.settings, gateway.callback_url))


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_what_is_signed_and_not_text_is_unreadable_not_forged(till: Till, provider: str) -> None:
    gateway = await _open(till, provider)
    assert (await _post(till, gateway, _unreadable(gateway))).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason) == ("failed", "unreadable_callback")


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("provider", g.PROVIDERS)
async def test_what_is_not_text_and_not_rightly_signed_is_forged(till: Till, provider: str) -> None:
    gateway = await _open(till, provider)
    answer = await _post(till, gateway, _unreadable(gateway, g.other_secret_of(provider)))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    told = _unreadable(gateway)
    changed = (
        told.body.replace(b"\xff", b"\xfe") if b"\xff" in told.body else told.body.replace(b"payload=", b"payload=A")
    )
    assert (await _post(till, gateway, Sample(changed, told.headers))).status_code == 400
    (*callbacks,) = await till.callbacks(gateway=gateway.id)
    assert {(c.status, c.reason) for c in callbacks} == {("invalid", "wrong_signature")}


def _adyen_items(reference: bytes, reason: bytes, signed: bytes | None = None) -> Sample:
    """A payment notification as Adyen would send it; `signed` is the reference that was signed."""
    account = g.settings_of("adyen")["merchant_account"].encode()
    fields = [b"8535296650153317", b"", account, signed or reference, b"1999", b"USD", b"AUTHORISATION", b"true"]
    mac = hmac.new(bytes.fromhex(g.secret_of("adyen")), b":".join(fields), hashlib.sha256).digest()
    item = (
        b'{"NotificationRequestItem": {"pspReference": "%b", "merchantAccountCode": "%b", "merchantReference": "%b",'
        b' "amount": {"value": 1999, "currency": "USD"}, "eventCode": "AUTHORISATION", "success": "true",'
        b' "reason": "%b", "additionalData": {"hmacSignature": "%b"}}}'
    )
    item %= (fields[0], account, reference, reason, base64.b64encode(mac))
    return Sample(b'{"live": "false", "notificationItems": [%b, %b]}' % (item, item), {})


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize(("reference", "reason"), [(b"R\xff1", b"fine"), (b"R-1", b"caf\xe9")])
async def test_items_that_are_signed_and_not_text_are_unreadable_not_forged(
    till: Till, reference: bytes, reason: bytes
) -> None:
    """Refused, Adyen would hold up all that it has to say behind it for thirty days."""
    gateway = await _open(till, "adyen")
    assert (await _post(till, gateway, _adyen_items(reference, reason))).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert (callback.status, callback.reason, callback.is_verified) == ("failed", "unreadable_callback", True)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize(
    "body", [b'{"notificationItems": [' + b"[" * 100_000 + b"\xff", b'{"notificationItems": "\xff"}']
)
async def test_items_that_are_not_text_and_none_are_forged(till: Till, body: bytes) -> None:
    gateway = await _open(till, "adyen")
    assert (await _post(till, gateway, Sample(body, {}))).status_code == 400


@pytest.mark.feature("PAY-3")
async def test_items_that_are_not_text_and_not_rightly_signed_are_forged(till: Till) -> None:
    gateway = await _open(till, "adyen")
    for other in (b"R\xfe1", b"R\xed\xb3\xbf1", b"R-1"):
        assert (await _post(till, gateway, _adyen_items(b"R\xff1", b"fine", other))).status_code == 400
    assert {each.reason for each in await till.callbacks(gateway=gateway.id)} == {"wrong_signature"}


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("provider", ["stripe", "adyen", "square", "razorpay", "standard-webhooks", "generic-hmac"])
async def test_the_same_event_id_with_other_content_is_flagged_and_not_applied(till: Till, provider: str) -> None:
    await till.place("REUSE-1")
    gateway = await _open(till, provider)
    sender = g.sender(gateway, "REUSE-1")
    first, second = sender.say("captured"), sender.say("captured", amount=5)
    if provider in ("razorpay", "standard-webhooks"):
        second = _with_the_same_id(sender, first)
    for each in (first, second):
        assert (await _post(till, gateway, each)).status_code == 200
        await till.work()
    assert [callback.reason for callback in await till.callbacks(gateway=gateway.id, status="failed")] == [
        "event_id_reused"
    ]
    (payment,) = await till.payments()
    assert payment.captured is not None
    assert payment.captured.amount == 1999


def _with_the_same_id(sender: g.Sender, first: Sample) -> Sample:
    """Other content, truly signed, under the id that a header gave to the first."""
    if sender.provider == "razorpay":
        return Sample(
            (other := sender.say("captured", amount=5)).body,
            other.headers | {"X-Razorpay-Event-Id": first.headers["X-Razorpay-Event-Id"]},
        )
    other = sender.say("captured", amount=5)
    message_id, at = first.headers["webhook-id"], first.headers["webhook-timestamp"]
    key = base64.b64decode(g.SECRETS[sender.provider].removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{at}.".encode() + other.body, hashlib.sha256).digest()
    return Sample(other.body, first.headers | {"webhook-signature": f"v1,{base64.b64encode(mac).decode()}"})


@pytest.mark.feature("PAY-6")
async def test_a_replay_of_what_is_old_is_judged_as_of_its_receipt(till: Till) -> None:
    gateway = await _open(till, "standard-webhooks")
    assert (await _post(till, gateway, g.sender(gateway, "R-1").say("captured"))).status_code == 200
    await till.work()
    (callback,) = await till.callbacks(gateway=gateway.id)
    assert callback.status == "waiting"
    await till.place("R-1")
    later = datetime.now(UTC) + timedelta(days=20)
    with clock.replaced(lambda: later):
        assert (await till.ask(ReplayCallback(callback_id=callback.id))).status == "processed"
