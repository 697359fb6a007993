"""Mollie's API of payments, as a fake that is told what each payment is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.fakes.servers import serving


@dataclass
class Mollie:
    """Mollie's payments, as its API tells them."""

    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200
    asked: int = 0

    async def payment(self, request: Request) -> Response:
        self.asked += 1
        if request.headers.get("authorization") != "Bearer test_key":
            return JSONResponse({"status": 401, "title": "Unauthorized Request"}, 401)
        found = self.payments.get(request.path_params["payment"])
        if self.status != 200 or found is None:
            return JSONResponse({"title": "no"}, 404 if self.status == 200 else self.status)
        return JSONResponse(found)


def payment(number: str, status: str = "paid", **fields: Any) -> dict[str, Any]:
    return {
        "resource": "payment",
        "id": "tr_1",
        "mode": "test",
        "status": status,
        "amount": {"value": "19.99", "currency": "USD"},
        "metadata": {"order_number": number},
        "_embedded": {"refunds": [], "chargebacks": []},
    } | fields


@asynccontextmanager
async def serving_mollie() -> AsyncIterator[tuple[Mollie, str]]:
    """The fake, and the address of its API."""
    fake = Mollie()
    async with serving(("GET", "/v2/payments/{payment}", fake.payment)) as base:
        yield fake, base
