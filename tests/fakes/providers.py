"""Payment providers' APIs as fakes: their lists, their pages, their refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.fakes.servers import serving

Thing = dict[str, Any]


@dataclass
class Provider:
    """What it knows, by list. `refusals` are answered first, one to each request; `asked` are the paths in order."""

    key: str = "sk_test_of_the_tests"
    lists: dict[str, list[Thing]] = field(default_factory=dict)
    page: int = 2
    refusals: list[Response] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    base: str = ""

    def add(self, list_name: str, *things: Thing) -> None:
        self.lists.setdefault(list_name, []).extend(things)

    def _refusal(self, request: Request) -> Response | None:
        self.asked.append(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        if request.headers.get("authorization") != f"Bearer {self.key}":
            # As some do, it repeats what it was given.
            return JSONResponse({"error": f"{request.headers.get('authorization')} is no key of ours"}, 401)
        return self.refusals.pop(0) if self.refusals else None


class Stripe(Provider):
    """Lists by creation, the newest first; `created` in Unix seconds."""

    async def list(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        query = request.query_params
        since, until = int(query["created[gte]"]), int(query["created[lt]"])
        rows = [row for row in self.lists.get(request.path_params["name"], []) if since <= row["created"] < until]
        rows.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
        if "starting_after" in query:
            place = next(number for number, row in enumerate(rows) if row["id"] == query["starting_after"])
            rows = rows[place + 1 :]
        most = min(self.page, int(query["limit"]))
        return JSONResponse({"object": "list", "data": rows[:most], "has_more": len(rows) > most})

    async def one(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        known = {row["id"]: row for row in self.lists.get(request.path_params["name"], [])}
        found = known.get(request.path_params["id"])
        return JSONResponse({"error": {"code": "resource_missing"}}, 404) if found is None else JSONResponse(found)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        routes = (("GET", "/v1/{name}", self.list), ("GET", "/v1/{name}/{id}", self.one))
        async with serving(*routes) as self.base:
            yield self.base


class Mollie(Provider):
    """Lists all there is, the newest first; a page begins at `from`, and says where the next does."""

    async def list(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        name, query = request.path_params["name"], request.query_params
        rows = sorted(self.lists.get(name, []), key=lambda row: row["createdAt"], reverse=True)
        if "from" in query:
            place = next(number for number, row in enumerate(rows) if row["id"] == query["from"])
            rows = rows[place:]
        most = min(self.page, int(query["limit"]))
        following = None
        if len(rows) > most:
            # An address that leads elsewhere: only where the next page begins is taken from it.
            following = {"href": f"https://elsewhere.example/v2/{name}?from={rows[most]['id']}&limit={most}"}
        page = {"count": len(rows[:most]), "_embedded": {name: rows[:most]}, "_links": {"next": following}}
        return JSONResponse(page)

    async def one(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        known = {row["id"]: row for row in self.lists.get("payments", [])}
        found = known.get(request.path_params["id"])
        return JSONResponse({"title": "Not Found"}, 404) if found is None else JSONResponse(found)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serving(("GET", "/v2/{name}", self.list), ("GET", "/v2/payments/{id}", self.one)) as self.base:
            yield self.base


def slowly() -> Response:
    """An answer whose body comes byte by byte, and never to its end."""

    async def bytes_of() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(bytes_of(), media_type="application/json")


# --- what they list


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def stripe_intent(name: str, number: str | None, at: datetime, amount: int = 1999, **fields: Any) -> Thing:
    """A payment intent that has succeeded."""
    return {
        "id": name,
        "object": "payment_intent",
        "created": seconds(at),
        "livemode": False,
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": amount,
        "currency": "usd",
        "metadata": {} if number is None else {"order_number": number},
        "receipt_email": "buyer@example.com",
        "status": "succeeded",
    } | fields


def stripe_refund(name: str, intent: str, at: datetime, amount: int, **fields: Any) -> Thing:
    return {
        "id": name,
        "object": "refund",
        "created": seconds(at),
        "amount": amount,
        "currency": "usd",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "status": "succeeded",
    } | fields


def stripe_dispute(name: str, intent: str, at: datetime, amount: int, **fields: Any) -> Thing:
    return {
        "id": name,
        "object": "dispute",
        "created": seconds(at),
        "livemode": False,
        "amount": amount,
        "currency": "usd",
        "payment_intent": intent,
        "charge": f"ch_{intent}",
        "status": "needs_response",
    } | fields


def mollie_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def mollie_payment(name: str, number: str | None, at: datetime, value: str = "19.99", **fields: Any) -> Thing:
    return {
        "resource": "payment",
        "id": name,
        "mode": "test",
        "createdAt": mollie_time(at),
        "amount": {"value": value, "currency": "USD"},
        "metadata": None if number is None else {"order_number": number},
        "status": "paid",
    } | fields


def mollie_refund(name: str, payment: str, at: datetime, value: str, **fields: Any) -> Thing:
    return {
        "resource": "refund",
        "id": name,
        "mode": "test",
        "createdAt": mollie_time(at),
        "amount": {"value": value, "currency": "USD"},
        "paymentId": payment,
        "status": "refunded",
    } | fields


def mollie_chargeback(name: str, payment: str, at: datetime, value: str, **fields: Any) -> Thing:
    return {
        "resource": "chargeback",
        "id": name,
        "createdAt": mollie_time(at),
        "amount": {"value": value, "currency": "USD"},
        "paymentId": payment,
        "reversedAt": None,
    } | fields
