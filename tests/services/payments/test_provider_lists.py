"""What PayPal, Square and Razorpay list (PAY-8): over pages, with what is no payment, beside their callbacks."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.payments.settings import payments_settings
from shared import clock
from shared.contracts.payments.reconciliation import ReconcileGateway, RepairReconciliation
from tests.factories import gateways as g
from tests.fakes.servers import serving
from tests.services.payments import reconciling as r
from tests.services.payments.conftest import Till

pytestmark = pytest.mark.feature("PAY-8")

CREDENTIALS = {
    "square": '{"access_token": "square_of_the_tests"}',
    "razorpay": '{"key_id": "rzp_test_1", "key_secret": "razor_of_the_tests"}',
    "paypal": '{"client_id": "client", "client_secret": "paypal_of_the_tests"}',
}
BASIC = {
    "razorpay": base64.b64encode(b"rzp_test_1:razor_of_the_tests").decode(),
    "paypal": base64.b64encode(b"client:paypal_of_the_tests").decode(),
}


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Fake:
    """One provider's lists, in pages of two; `asked` are the paths in order."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _is_allowed(self, request: Request, header: str) -> bool:
        self.asked.append(request.url.path)
        return request.headers.get("authorization") == header


class Square(Fake):
    async def list(self, request: Request) -> Response:
        if not self._is_allowed(request, "Bearer square_of_the_tests"):
            return JSONResponse({"errors": [{"category": "AUTHENTICATION_ERROR"}]}, 401)
        name, query = request.path_params["name"], request.query_params
        rows = [
            row
            for row in self.lists.get(name, [])
            if query.get("begin_time", "") <= row["created_at"] < query.get("end_time", "9")
        ]
        start = int(query.get("cursor", "0"))
        page: dict[str, Any] = {name: rows[start : start + 2]} if rows else {}
        return JSONResponse(page | ({"cursor": str(start + 2)} if len(rows) > start + 2 else {}))

    async def one(self, request: Request) -> Response:
        known = {row["id"]: row for row in self.lists.get("payments", [])}
        found = known.get(request.path_params["id"])
        return JSONResponse({"errors": []}, 404) if found is None else JSONResponse({"payment": found})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serving(("GET", "/v2/{name}", self.list), ("GET", "/v2/payments/{id}", self.one)) as base:
            yield base


class Razorpay(Fake):
    async def list(self, request: Request) -> Response:
        if not self._is_allowed(request, f"Basic {BASIC['razorpay']}"):
            return JSONResponse({"error": {"code": "BAD_REQUEST_ERROR"}}, 401)
        name, query = request.path_params["name"], request.query_params
        since, until = int(query["from"]), int(query["to"])
        # Its list of disputes knows no period.
        rows = [row for row in self.lists.get(name, []) if name == "disputes" or since <= row["created_at"] <= until]
        skip, count = int(query["skip"]), int(query["count"])
        return JSONResponse({"entity": "collection", "items": rows[skip : skip + count], "count": len(rows)})

    async def one(self, request: Request) -> Response:
        return JSONResponse({"error": {"code": "BAD_REQUEST_ERROR"}}, 404)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serving(("GET", "/v1/{name}", self.list), ("GET", "/v1/payments/{id}", self.one)) as base:
            yield base


def _is_about(dispute: dict[str, Any], transaction: str) -> bool:
    return any(each["seller_transaction_id"] == transaction for each in dispute["disputed_transactions"])


class PayPal(Fake):
    # Whether these credentials are not for disputes: an app has to be allowed to see them.
    keeps_disputes = False

    async def token(self, request: Request) -> Response:
        if not self._is_allowed(request, f"Basic {BASIC['paypal']}"):
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": "token_of_the_tests", "expires_in": 32000})

    async def search(self, request: Request) -> Response:
        if not self._is_allowed(request, "Bearer token_of_the_tests"):
            return JSONResponse({}, 401)
        query = request.query_params
        span = datetime.fromisoformat(query["end_date"]) - datetime.fromisoformat(query["start_date"])
        if span > timedelta(days=31):
            return JSONResponse({"name": "INVALID_REQUEST"}, 400)
        made = [row for row in self.lists["transactions"] if query["start_date"] <= row["at"] < query["end_date"]]
        start = (int(query["page"]) - 1) * 2
        details = [{"transaction_info": row["info"]} for row in made[start : start + 2]]
        return JSONResponse({"transaction_details": details, "total_pages": -(-len(made) // 2), "page": query["page"]})

    async def one(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        found = {row["id"]: row for row in self.lists.get("orders", [])}.get(request.path_params["id"])
        return JSONResponse({"name": "RESOURCE_NOT_FOUND"}, 404) if found is None else JSONResponse(found)

    async def disputes(self, request: Request) -> Response:
        if not self._is_allowed(request, "Bearer token_of_the_tests"):
            return JSONResponse({}, 401)
        if self.keeps_disputes:
            return JSONResponse({"name": "NOT_AUTHORIZED"}, 403)
        about = request.query_params["disputed_transaction_id"]
        known = [each for each in self.lists.get("disputes", []) if _is_about(each, about)]
        return JSONResponse({"items": [{"dispute_id": each["dispute_id"]} for each in known]})

    async def dispute(self, request: Request) -> Response:
        known = {each["dispute_id"]: each for each in self.lists.get("disputes", [])}
        return JSONResponse(known[request.path_params["id"]])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        routes = (
            ("GET", "/v1/customer/disputes", self.disputes),
            ("GET", "/v1/customer/disputes/{id}", self.dispute),
            ("POST", "/v1/oauth2/token", self.token),
            ("GET", "/v1/reporting/transactions", self.search),
            ("GET", "/v2/checkout/orders/{id}", self.one),
            ("GET", "/v2/payments/captures/{id}", self.one),
        )
        async with serving(*routes) as base:
            yield base


@asynccontextmanager
async def at(fake: Any, provider: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    async with fake.serving() as address:
        monkeypatch.setattr(payments_settings(), "provider_apis", {provider: address})
        yield


async def open_gateway(till: Till, provider: str, **fields: Any) -> Any:
    fields = {"credentials": CREDENTIALS.get(provider)} | fields
    return await g.open_gateway(till.process, till.organization_id, provider, **fields)


async def hear(till: Till, gateway: Any, number: str, kind: str, **facts: Any) -> None:
    """A callback of the provider's about a payment of this order."""
    told = g.sender(gateway, number, **facts).say(kind)
    answer = await till.door.post(f"/callbacks/{gateway.id}", content=told.body, headers=told.headers)
    assert answer.status_code == 200, answer.text
    await till.work()


async def repaired(till: Till, reconciliation_id: Any) -> dict[str, tuple[str, int]]:
    """The payments after all was repaired, by their orders: state and what was captured."""
    begun = await till.ask(RepairReconciliation(reconciliation_id=reconciliation_id))
    assert await r.run_job(till, begun.job.id) == "succeeded"
    return {each.order_number: (each.state, each.captured.amount) for each in await till.payments()}


def square_payment(name: str, number: str | None, minutes: float, status: str = "COMPLETED") -> dict[str, Any]:
    return {
        "id": name,
        "created_at": iso(r.ago(minutes)),
        "status": status,
        "amount_money": {"amount": 1999, "currency": "USD"},
    } | ({} if number is None else {"reference_id": number})


async def test_square(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, gateway = Square(), await open_gateway(till, "square")
    for number in range(1, 5):
        await till.place(f"SQ-{number}")
    fake.lists = {
        "payments": [
            square_payment("sq_old", "SQ-1", 60 * 30),
            square_payment("sq_1", "SQ-1", 9) | {"refunded_money": {"amount": 500, "currency": "USD"}},
            square_payment("sq_2", "SQ-2", 8, "APPROVED"),
            square_payment("sq_3", "SQ-3", 7),
            square_payment("sq_4", "SQ-4", 6, "FAILED"),
            square_payment("sq_5", None, 5, "PENDING"),
            square_payment("sq_6", "SQ-4", 4, "PUZZLING"),
        ],
        "refunds": [
            square_payment("ref_1", None, 5)
            | {"payment_id": "sq_1", "amount_money": {"amount": 500, "currency": "USD"}}
        ],
        "disputes": [
            square_payment("dis_old", None, 60 * 40) | {"state": "LOST", "disputed_payment": {"payment_id": "sq_3"}},
            square_payment("dis_3", None, 5)
            | {"state": "EVIDENCE_REQUIRED", "disputed_payment": {"payment_id": "sq_3"}},
        ],
    }
    async with at(fake, "square", monkeypatch):
        ended = await r.reconcile(till, gateway)
        assert ended.state == "succeeded", ended.error
        assert r.told(await r.differences(till, reconciliation=ended.id)) == [
            ("dispute_missing", "dispute dis_3", 1999, 0),
            ("paid_there", "payment sq_1", 1999, 0),
            ("status_differs", "payment sq_2", 1999, 0),
            ("paid_there", "payment sq_3", 1999, 0),
            ("unreadable", "payment sq_6", 0, 0),
            ("refund_missing", "refund ref_1", 500, 0),
        ]
        assert fake.asked.count("/v2/payments") == 3
        assert await repaired(till, ended.id) == {
            "SQ-1": ("partly_refunded", 1999),
            "SQ-2": ("authorised", 0),
            "SQ-3": ("disputed", 1999),
        }
        await hear(till, gateway, "SQ-3", "captured", payment="sq_3")
        assert len(await till.payments()) == 3
        assert (await r.reconcile(till, gateway)).differences == {"unreadable": 1}


def razor(name: str, minutes: float, **fields: Any) -> dict[str, Any]:
    return {"id": name, "created_at": int(r.ago(minutes).timestamp()), "amount": 1999, "currency": "USD"} | fields


async def test_razorpay(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, gateway = Razorpay(), await open_gateway(till, "razorpay")
    for number in (1, 2):
        await till.place(f"RZ-{number}")
    await hear(till, gateway, "RZ-2", "captured", payment="pay_gone")
    fake.lists = {
        "payments": [
            razor("pay_1", 5, status="refunded", captured=True, amount_refunded=500, notes={"order_number": "RZ-1"}),
            razor("pay_2", 5, status="created", notes=[]),
            razor("pay_3", 5, status="failed", notes={"order_number": "RZ-1"}),
            *(razor(f"pay_f{number}", 4, status="failed", notes=[]) for number in range(100)),
        ],
        "refunds": [razor("rfnd_1", 3, amount=500, payment_id="pay_1", status="processed", notes=[])],
        "disputes": [
            razor("disp_1", 2, payment_id="pay_1", status="under_review"),
            razor("disp_0", 60 * 50, payment_id="pay_1", status="lost"),
        ],
    }
    async with at(fake, "razorpay", monkeypatch):
        ended = await r.reconcile(till, gateway)
        assert ended.state == "succeeded", ended.error
        assert r.told(await r.differences(till, reconciliation=ended.id)) == [
            ("dispute_missing", "dispute disp_1", 1999, 0),
            ("paid_there", "payment pay_1", 1999, 0),
            ("paid_here", "payment pay_gone", 0, 1999),
            ("refund_missing", "refund rfnd_1", 500, 0),
        ]
        # 103 payments are two pages.
        assert fake.asked.count("/v1/payments") == 2
        assert await repaired(till, ended.id) == {"RZ-1": ("disputed", 1999), "RZ-2": ("captured", 1999)}


def transaction(name: str, code: str, value: str, minutes: float, **fields: Any) -> dict[str, Any]:
    info = {
        "transaction_id": name,
        "transaction_event_code": code,
        "transaction_status": "S",
        "transaction_amount": {"currency_code": "USD", "value": value},
    } | fields
    return {"at": iso(r.ago(minutes)), "info": info}


async def test_paypal(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, gateway = PayPal(), await open_gateway(till, "paypal", settings=g.settings_of("paypal"))
    days = 60 * 24
    for number in range(1, 4):
        await till.place(f"PP-{number}")
    await hear(till, gateway, "PP-3", "captured", payment="CAP3")
    (known,) = await till.payments()
    (captured,) = await till.rows("SELECT external_id FROM captures WHERE payment_id = $1", known.id)
    dispute = orjson.loads(g.sender(gateway, "PP-2", payment="2").say("disputed").body)["resource"]
    fake.lists = {
        "transactions": [
            transaction("CAP1", "T0006", "19.99", 40 * days, custom_field="PP-1"),
            transaction("REF1", "T1107", "-5.00", 35 * days, paypal_reference_id="CAP1"),
            transaction("CAP-2", "T0006", "19.99", 5, invoice_id="PP-2"),
            transaction("CAP4", "T0006", "19.99", 5, invoice_id="PP-2", transaction_status="P"),
            transaction("OUT1", "T0400", "-100.00", 4),
            transaction("SENT", "T0000", "-9.00", 4),
            transaction("CHB1", "T1201", "-19.99", 3, paypal_reference_id="CAP-2"),
            transaction("CHB2", "T1201", "-19.99", 3, paypal_reference_id="CAP9"),
        ],
        "disputes": [dispute],
        "orders": [
            {
                "id": known.external_id,
                "status": "COMPLETED",
                "purchase_units": [
                    {
                        "custom_id": "PP-3",
                        "payments": {
                            "captures": [
                                {
                                    "id": captured["external_id"],
                                    "status": "COMPLETED",
                                    "amount": {"currency_code": "USD", "value": "19.99"},
                                }
                            ]
                        },
                    }
                ],
            }
        ],
    }
    async with at(fake, "paypal", monkeypatch):
        ended = await r.reconcile(till, gateway, hours=24 * 45)
        assert ended.state == "succeeded", ended.error
        assert r.told(await r.differences(till, reconciliation=ended.id)) == [
            ("dispute_missing", f"dispute {dispute['dispute_id']}", 500, 0),
            ("paid_there", "transaction CAP-2", 1999, 0),
            ("paid_there", "transaction CAP1", 1999, 0),
            ("unreadable", "transaction CHB2", 0, 0),
            ("refund_missing", "transaction REF1", 500, 0),
        ]
        # Two windows of at most 31 days, one page and three; what is known here was asked for by its name.
        assert fake.asked.count("/v1/reporting/transactions") == 4
        assert f"/v2/checkout/orders/{known.external_id}" in fake.asked
        assert await repaired(till, ended.id) == {
            "PP-1": ("partly_refunded", 1999),
            "PP-2": ("disputed", 1999),
            "PP-3": ("captured", 1999),
        }
        # PayPal's own word about it says nothing new, for it is the same dispute.
        await hear(till, gateway, "PP-2", "disputed", payment="2")
        (callback, *_) = await till.callbacks(gateway=gateway.id)
        assert (callback.status, callback.reason) == ("ignored", "superseded")


async def test_paypals_chargebacks_are_for_a_person_where_disputes_are_not_to_be_seen(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, gateway = PayPal(), await open_gateway(till, "paypal", settings=g.settings_of("paypal"))
    fake.keeps_disputes = True
    fake.lists = {"transactions": [transaction("CHB1", "T1201", "-19.99", 3, paypal_reference_id="CAP2")]}
    async with at(fake, "paypal", monkeypatch):
        ended = await r.reconcile(till, gateway)
        assert ended.state == "succeeded", ended.error
        assert r.told(await r.differences(till, reconciliation=ended.id)) == [("unreadable", "transaction CHB1", 0, 0)]


@pytest.mark.parametrize(("provider", "fake"), [("square", Square()), ("razorpay", Razorpay()), ("paypal", PayPal())])
async def test_wrong_credentials_end_it(till: Till, monkeypatch: pytest.MonkeyPatch, provider: str, fake: Any) -> None:
    wrong = CREDENTIALS[provider].replace("of_the_tests", "of_others")
    gateway = await open_gateway(till, provider, credentials=wrong, settings=g.settings_of(provider))
    async with at(fake, provider, monkeypatch):
        ended = await r.reconcile(till, gateway)
    assert (ended.state, ended.error["code"]) == ("failed", "credentials_refused")


async def test_adyen_has_no_list_and_says_what_to_do(till: Till) -> None:
    gateway = await open_gateway(till, "adyen", credentials='{"api_key": "adyen_of_the_tests"}')
    now = clock.now()
    message = ReconcileGateway(gateway_id=gateway.id, since=now - timedelta(hours=1), until=now)
    assert await r.refused(till, message) == "reconciliation_not_offered"
