"""The callbacks' own entry: read → verify → store → answer. Plain ASGI, no Redis, nothing of the gateway's.

Mounted at `/callbacks` in every web process. What is answered 200 is stored byte for byte; what could not be stored is
answered 503, so that the sender comes again. What a callback *does* happens later, from its task.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import asyncpg
import orjson
import structlog

from services.payments import measuring
from services.payments.arrivals import Arrival, Arrivals
from services.payments.errors import (
    AddressNotAllowed,
    BodyTooLarge,
    BodyTooSlow,
    CallbackNotStored,
    CompressedBody,
    InvalidChallenge,
    InvalidSignature,
    PaymentGatewayNotFound,
    TooManyUnverified,
    WrongMethod,
)
from services.payments.flood import FloodGate
from services.payments.gateway_book import GatewayBook, KnownGateway
from services.payments.gateways.base import Delivery, EventIdentity, Provider, Verdict
from services.payments.gateways.registry import get_provider
from shared import background, clock
from shared.database import Database, DatabaseUnavailable
from shared.errors import CrossdockError, InternalError, Invalid
from shared.lingering import Receive, Send, lingering
from shared.unit_of_work import AfterCommit

log = structlog.get_logger("crossdock.payments")

Scope = MutableMapping[str, Any]
AddressOf = Callable[[Scope], str | None]

BODY_LIMIT = 256 << 10
BODY_SECONDS = 10.0
_COUNTING_SECONDS = 30.0
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class _SenderLeft(Exception):
    """The connection ended before the body did: there is nobody to answer."""


class Intake:
    """An ASGI application. It answers 503 outside of `serving`."""

    def __init__(self, body_seconds: float = BODY_SECONDS) -> None:
        self._body_seconds = body_seconds
        self._book: GatewayBook | None = None
        self._arrivals: Arrivals | None = None
        self._flood = FloodGate()
        self._address_of: AddressOf = _peer

    @asynccontextmanager
    async def serving(
        self, database: Database, after_commit: AfterCommit, address_of: AddressOf | None = None
    ) -> AsyncIterator[None]:
        """Serve over `database` inside the block, and finish what was begun at its end.

        `address_of` says where a request came from, for who sits behind proxies; without it, the connection does.
        """
        self._address_of = address_of or _peer
        self._book, self._arrivals = GatewayBook(database), Arrivals(database, after_commit)
        counting = asyncio.create_task(self._count_forever(self._arrivals))
        try:
            yield
        finally:
            await background.end(counting)
            await self._arrivals.close()
            self._book = self._arrivals = None

    def forget_gateways(self) -> None:
        """Look every gateway up anew, as after the few seconds that they are remembered."""
        if self._book is not None:
            self._book.forget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body, media_type = await self._take(scope, receive)
            await _respond(send, 200, body, media_type.encode())
        except _SenderLeft:
            return
        except BodyTooLarge as error:
            async with lingering(scope, receive, send) as send_open:
                await _refuse(scope, send_open, error)
        except (DatabaseUnavailable, *_AWAY) as error:
            log.warning("callback_not_stored", error=repr(error))
            await _refuse(scope, send, CallbackNotStored("The callback could not be stored; send it again."))
        except CrossdockError as error:
            await _refuse(scope, send, error)
        except Exception as error:
            log.error("defect", what="callback intake", exc_info=error)
            await _refuse(scope, send, InternalError("Something went wrong on our side; send it again."))

    async def _take(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        """Take one callback in. Returns the body its provider expects once it is stored, and that body's type."""
        if scope["method"] not in ("POST", "GET"):
            raise WrongMethod(f"Callbacks are posted; this address does not take {scope['method']}.")
        if self._book is None or self._arrivals is None:
            raise CallbackNotStored("This process is starting or stopping; send it again.", retry_after_seconds=1)
        received_at = clock.now()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        delivery_headers = _joined(headers)
        _check_headers(delivery_headers)
        gateway = await self._book.find(_gateway_id(scope))
        if gateway is None:
            raise PaymentGatewayNotFound("There is no payment gateway at this address.")
        provider, address = get_provider(gateway.provider), self._address_of(scope)
        if scope["method"] == "GET":
            return _challenged(gateway, provider, scope, address), "text/plain"
        delivery = Delivery(delivery_headers, await self._read_body(receive), received_at)
        verdict = await self._judge(self._book, gateway, provider, delivery, address)
        kept = _arrivals(gateway, provider, delivery, headers, address, verdict)
        try:
            records = await self._keep(self._arrivals, gateway, kept)
        except CrossdockError as error:
            measuring.turned_away(gateway.id, error.code)
            raise
        measuring.received(gateway.id, verdict, records)
        if verdict == _WRONG_ADDRESS:
            raise AddressNotAllowed("Callbacks for this gateway are not taken from this address.")
        if not (verdict.is_genuine or verdict.is_pending):
            raise InvalidSignature(f"The callback is not signed as {provider.name} signs ({verdict.reason}).")
        return provider.accepted, provider.accepted_type

    async def _judge(
        self, book: GatewayBook, gateway: KnownGateway, provider: Provider, delivery: Delivery, address: str | None
    ) -> Verdict:
        if not gateway.allows(address):
            return _WRONG_ADDRESS
        verdict = provider.verify(delivery, gateway.account)
        if verdict.certificate is None:
            return verdict
        pem = await book.find_certificate(gateway.organization_id, verdict.certificate)
        if pem is None:
            return verdict
        return provider.verify(delivery, replace(gateway.account, certificates={verdict.certificate: pem}))

    async def _keep(self, arrivals: Arrivals, gateway: KnownGateway, kept: Sequence[Arrival]) -> list[bool]:
        """Store what came. Of what is not known to be genuine only so much; more that is pending is refused.

        Returns of each that was stored whether it is new.
        """
        first = kept[0]
        is_reread = first.is_pending and first.event.is_reread
        if not first.is_verified and not self._flood.keeps(gateway, first.size, is_reread=is_reread):
            if first.is_pending or self._flood.is_beyond_patience(gateway):
                raise TooManyUnverified("Too many callbacks came that are not verified; send it again later.")
            return []
        if len(kept) == 1:
            return [await arrivals.store(first)]
        return await asyncio.gather(*(arrivals.store(arrival) for arrival in kept))

    async def _read_body(self, receive: Receive) -> bytes:
        """The whole body. Raises BodyTooLarge without reading on, BodyTooSlow, _SenderLeft."""
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _SenderLeft
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > BODY_LIMIT:
                        raise _too_large()
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise BodyTooSlow(f"The body did not arrive within {self._body_seconds:g} seconds.") from None

    async def _count_forever(self, arrivals: Arrivals) -> None:
        """Write down, now and then, how many forged callbacks were not kept."""
        while True:
            try:
                await asyncio.sleep(_COUNTING_SECONDS)
            finally:
                await self._count(arrivals)

    async def _count(self, arrivals: Arrivals) -> None:
        counts = self._flood.take_counts()
        if not counts:
            return
        try:
            await arrivals.count_uncollected(counts, clock.now())
        except (CrossdockError, *_AWAY) as error:
            self._flood.put_back(counts)
            log.warning("uncollected_callbacks_not_counted", error=repr(error))


def _peer(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


_WRONG_ADDRESS = Verdict(False, "address_not_allowed")


def _challenged(gateway: KnownGateway, provider: Provider, scope: Scope, address: str | None) -> bytes:
    """The answer to a provider that asks whether the address is ours."""
    if not gateway.allows(address):
        raise AddressNotAllowed("This address is not asked from there.")
    answer = provider.challenge(_query(scope), gateway.account)
    if answer is None:
        raise WrongMethod("Callbacks are posted; this address does not take GET.")
    return answer


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20))
    except ValueError:
        raise InvalidChallenge("The query is not one.") from None


def _arrivals(
    gateway: KnownGateway,
    provider: Provider,
    delivery: Delivery,
    headers: list[tuple[str, str]],
    address: str | None,
    verdict: Verdict,
) -> list[Arrival]:
    """What is to be stored: a record for each event that the body carries, and one of a body that is forged."""
    events = provider.identify(delivery)
    if len(events) > 1 and not verdict.is_genuine:
        events = [EventIdentity(None, events[0].event, sha256(delivery.body).digest())]
    return [
        Arrival(
            organization_id=gateway.organization_id,
            gateway_id=gateway.id,
            event=event,
            body=delivery.body,
            headers=headers,
            source_address=address,
            received_at=delivery.received_at,
            is_verified=verdict.is_genuine,
            is_pending=verdict.is_pending,
            reason=verdict.reason,
        )
        for event in events
    ]


def _gateway_id(scope: Scope) -> UUID:
    place = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
    try:
        if len(place) != 36:
            raise ValueError
        return UUID(place)
    except ValueError:
        raise PaymentGatewayNotFound("There is no payment gateway at this address.") from None


def _check_headers(headers: dict[str, str]) -> None:
    """What the headers alone forbid, before a byte of the body is read."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise CompressedBody("Compressed bodies are not taken; send it as it is.")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Invalid("Content-Length is not a number.")
    if len(length) > 12 or int(length) > BODY_LIMIT:
        raise _too_large()


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"A callback has at most {BODY_LIMIT} bytes.")


def _joined(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by name; one that came several times is joined as RFC 9110 §5.3 has it."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name.lower()] = f"{found[name.lower()]},{value}" if name.lower() in found else value
    return found


async def _refuse(scope: Scope, send: Send, error: CrossdockError) -> None:
    """Answer with a problem; it names the request as those of all other doors do."""
    request_id = scope.get("state", {}).get("request_id")
    problem = error.problem() if request_id is None else {**error.problem(), "request_id": request_id}
    headers = []
    if error.status == 405:
        headers.append((b"allow", b"POST"))
    # The rest of a body we do not want is not read: the connection cannot serve another request.
    if error.status in (408, 413, 415):
        headers.append((b"connection", b"close"))
    if error.retry_after_seconds is not None or error.status == 503:
        headers.append((b"retry-after", str(error.retry_after_seconds or 5).encode()))
    await _respond(send, error.status, orjson.dumps(problem), b"application/problem+json", headers)


async def _respond(
    send: Send, status: int, body: bytes, media_type: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    start = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
