"""Whatever the order in which a provider's callbacks arrive, and however often: the ledger ends as the same (PAY-4)."""

from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.callback_samples import NoSuchSample, Sample
from services.payments import flood
from services.payments.settings import payments_settings
from shared.contracts.payments.shapes import PaymentGateway
from tests.conftest import examples, scale
from tests.factories import gateways as g
from tests.fakes.mollie import payment as paid_with_mollie
from tests.fakes.mollie import serving_mollie
from tests.services.payments.conftest import Till

# Of the orders in which callbacks may come, how many are tried.
_SHORT, _LONG = 12, 120

# Two captures: of providers that tell a total its first part, of the others each by itself.
SAID = (
    ("authorised", {}),
    ("captured", {"amount": 1000}),
    ("captured", {"amount": 1999, "id": "last", "at": 10}),
    ("refunded", {"part": 500, "id": "first"}),
    ("refunded", {"part": 1000, "id": "second"}),
    ("disputed", {"part": 300, "id": "third"}),
)


def _said_by(sender: g.Sender) -> list[Sample]:
    """What the provider has to say of all that."""
    samples = []
    for kind, told in SAID:
        # No provider gives an id twice, whatever payment it is of.
        facts: dict[str, Any] = told | {"id": f"{told.get('id', kind)}-{sender.facts.payment}"}
        facts["at"] = sender.facts.at + timedelta(seconds=facts.get("at", 0))
        try:
            if told.get("id") == "last" and sender.provider in ("adyen", "paypal"):
                samples.append(_second_capture(sender, facts | {"amount": 999}))
            else:
                samples.append(sender.say(kind, **facts))
        except NoSuchSample:
            assert sender.provider == "braintree", (sender.provider, kind)
    return samples


def _second_capture(sender: g.Sender, facts: dict[str, Any]) -> Sample:
    """Of a provider that tells captures one by one: under a name of its own."""
    body = sender.say("captured", **facts).body
    if sender.provider != "paypal":
        return sender.say("captured", **facts)
    name = f'"CAP-{sender.facts.payment}"'
    assert name.encode() in body
    return sender.sign(body.replace(name.encode(), name.replace("CAP", "CAP-2").encode()))


@pytest.mark.feature("PAY-4")
@pytest.mark.parametrize("provider", [provider for provider in g.PROVIDERS if provider != "mollie"])
@pytest.mark.timeout(900)
async def test_every_order_ends_in_the_same_ledger(till: Till, provider: str) -> None:
    gateway = await g.open_gateway(till.process, till.organization_id, provider)
    count = len(_said_by(g.sender(gateway, "X")))
    dice = Random(provider)
    orders = list(permutations(range(count)))
    orders = dice.sample(orders, min(_SHORT if scale() < 1 else _LONG, len(orders)))
    for number, order in enumerate(orders):
        name = f"ANY-{number}"
        await till.place(name)
        # Each says the same of a payment of its own; ids of refunds and disputes are a payment's.
        samples = _said_by(g.sender(gateway, name, payment=f"pay_{number}"))
        again = dice.choice(order)
        for which in (*order, again, *dice.sample(order, 1)):
            told = samples[which]
            answer = await till.door.post(f"/callbacks/{gateway.id}", content=told.body, headers=told.headers)
            assert answer.status_code == 200, answer.text
        if number % 3 == 0:
            await till.work()
    await till.work()
    assert await till.callbacks(gateway=gateway.id, status="failed") == []
    assert await till.callbacks(gateway=gateway.id, status="waiting") == []
    rows = await till.rows(
        "SELECT state, authorised, captured, refunded, disputed, count(*) FROM payments GROUP BY 1, 2, 3, 4, 5"
    )
    (row,) = rows
    authorised = 0 if provider == "paypal" and count < 6 else 1999
    assert tuple(row) == ("disputed", authorised, 1999, 1500, 300, len(orders))


def _part(identifier: str, amount: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "amount": {"value": amount, "currency": "USD"}} | fields


def _told_by_mollie(payment: str, number: str) -> list[dict[str, Any]]:
    """What Mollie's API says of a payment from one time to the next."""
    refunds = [_part(f"re_{payment}_1", "5.00", status="refunded"), _part(f"re_{payment}_2", "10.00", status="pending")]
    done = [refunds[0], refunds[1] | {"status": "refunded"}]
    chargebacks = [_part(f"chb_{payment}", "3.00", reversedAt=None)]
    named = {"id": payment, "metadata": {"order_number": number}}
    return [
        paid_with_mollie(number, "authorized", **named),
        paid_with_mollie(number, **named),
        paid_with_mollie(number, **named, _embedded={"refunds": refunds[:1], "chargebacks": []}),
        paid_with_mollie(number, **named, _embedded={"refunds": refunds, "chargebacks": []}),
        paid_with_mollie(number, **named, _embedded={"refunds": done, "chargebacks": chargebacks}),
    ]


@pytest.mark.feature("PAY-4")
@pytest.mark.timeout(900)
async def test_every_order_of_what_mollie_answers_ends_in_the_same_ledger(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that read a payment at once may take in the older answer last."""
    # Of what proves nothing by itself so many come in no minute.
    monkeypatch.setattr(flood, "REREAD_PER_MINUTE", 10_000)
    credentials = '{"api_key": "test_key"}'
    gateway = await g.open_gateway(till.process, till.organization_id, "mollie", secrets=(), credentials=credentials)
    dice = Random("mollie")
    orders = list(permutations(range(5)))
    if scale() < 1:
        orders = dice.sample(orders, _SHORT)
    async with serving_mollie() as (mollie, base):
        monkeypatch.setattr(payments_settings(), "provider_apis", {"mollie": base})
        for place, order in enumerate(orders):
            await till.place(f"MOLLIE-{place}")
            answers = _told_by_mollie(f"tr_{place}", f"MOLLIE-{place}")
            for which in (*order, dice.choice(order)):
                mollie.payments[f"tr_{place}"] = answers[which]
                assert (
                    await till.door.post(f"/callbacks/{gateway.id}", content=b"id=tr_%d" % place)
                ).status_code == 200
                await till.work()
    callbacks = await till.callbacks(gateway=gateway.id)
    assert {callback.status for callback in callbacks} == {"processed"}
    rows = await till.rows(
        "SELECT state, authorised, captured, refunded, disputed, count(*) FROM payments GROUP BY 1, 2, 3, 4, 5"
    )
    assert [tuple(row) for row in rows] == [("disputed", 1999, 1999, 1500, 300, len(orders))]


# --- anything at all


HEADERS = (
    "stripe-signature",
    "hmacsignature",
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-cert-url",
    "paypal-auth-algo",
    "x-mollie-signature",
    "x-square-hmacsha256-signature",
    "x-razorpay-signature",
    "x-razorpay-event-id",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "x-signature",
    "content-type",
)
_VALUES = st.one_of(
    st.binary(max_size=200).map(lambda value: bytes(each for each in value if each not in (0, 10, 13))),
    st.sampled_from(
        [b"t=1,v1=00", b"v1,", b"1614265330", b"SHA256withRSA", b"a|b&c|d|e", b"sha256=", b"t=Infinity,v1=x"]
    ),
    st.sampled_from([b"https://api.sandbox.paypal.com/v1/notifications/certs/x", b"https://[::1", b"http://a@b"]),
)
_NAMES = st.sampled_from(
    "id type event data object payload amount notificationItems resource currency".split()
) | st.text(max_size=8)


def _containing(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=5)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    _containing,
    max_leaves=20,
)
_BODIES = st.one_of(
    st.binary(max_size=400),
    _JSON.map(lambda value: g.as_json(value)),
    st.sampled_from(
        [b"id=tr_x&id=tr_y", b"bt_signature=a%7Cb&bt_payload=%00", b"bt_payload=" + b"A" * 300, b"[" * 5000]
    ),
)


@pytest.mark.feature("PAY-3")
@pytest.mark.parametrize("provider", g.PROVIDERS)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.dictionaries(st.sampled_from(HEADERS), _VALUES, max_size=6),
    body=_BODIES | st.sampled_from([kind.encode() for kind, _ in SAID]),
)
async def test_no_headers_and_no_body_bring_anything_down(
    till: Till, monkeypatch: pytest.MonkeyPatch, provider: str, headers: dict[str, bytes], body: bytes
) -> None:
    # No certificate and no payment is there to be read.
    monkeypatch.setattr(payments_settings(), "provider_apis", dict.fromkeys(g.PROVIDERS, NOBODY))
    gateway = await g.open_gateway(till.process, till.organization_id, provider)
    if not await till.rows("SELECT FROM orders"):
        await till.place("FUZZ-1")
    if body in {kind.encode() for kind, _ in SAID}:
        body = _as_said(gateway, body.decode())
    sent = [(name.encode(), value) for name, value in headers.items()]
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=body, headers=sent)
    assert answer.status_code < 500, (answer.text, headers, body)
    query: Any = {"bt_challenge": body.decode("latin-1")}
    assert (await till.door.get(f"/callbacks/{gateway.id}", params=query)).status_code < 500
    await till.work()
    assert await till.payments() == []
    # What is genuine but nonsense is a person's, and brings no worker down either.
    adapter = g.adapter_of(provider)
    for event in adapter.identify(g.delivery(headers, body)):
        assert len(event.digest) == 32
    g.read_safely(provider, gateway.settings, body)


# An address where nothing listens.
NOBODY = "http://127.0.0.1:9"


def _as_said(gateway: PaymentGateway, kind: str) -> bytes:
    """What the provider would post about the order, signed by somebody else."""
    try:
        return g.sender(gateway, "FUZZ-1").say(kind, secret=g.other_secret_of(gateway.provider)).body
    except NoSuchSample:
        return b""
