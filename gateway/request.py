"""One request: its id, who sent it, and the `ask` bound to both."""

import time
from collections.abc import Awaitable, MutableMapping
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from gateway.browsers import spend
from gateway.identity import Identities
from gateway.shops_read import ShopsRead
from shared import metrics
from shared.bus.ask import Asker, Bus
from shared.bus.envelope import Caller, Envelope
from shared.contracts.base import Message, ReadyJson, field_of
from shared.errors import CrossdockError, Invalid

A = TypeVar("A")
B = TypeVar("B")
_WITHDRAWING = "accounts"


class InvalidIdempotencyKey(Invalid):
    """An Idempotency-Key is 1 to 255 visible characters."""


class _NotedBus:
    """The bus, with every question counted and the answer's version noted for the `ETag`.

    Whatever accounts was told to change may have been somebody's right: that is said before the answer goes out.
    """

    def __init__(self, bus: Bus, state: MutableMapping[str, Any], identities: Identities) -> None:
        self._bus = bus
        self._state = state
        self._reads: ShopsRead | None = state.get("shops_read")
        self._identities = identities

    async def ask(self, message: Message[A], envelope: Envelope) -> A:
        answer = await self._noted(message, self._bus.ask(message, envelope))
        if isinstance(answer, ReadyJson):
            # What it stands on is noted; orjson reads no subclass of bytes.
            return cast(A, bytes(answer))
        version = field_of(answer, "version")
        if isinstance(version, int):
            self._state["version"] = version
        return answer

    async def ask_ready(self, message: Message[Any], envelope: Envelope) -> bytes:
        return await self._noted(message, self._bus.ask_ready(message, envelope))

    async def _noted(self, message: Message[Any], asking: Awaitable[B]) -> B:
        began, outcome = time.monotonic(), "cancelled"
        try:
            answer = await asking
            outcome = "ok"
            if self._reads is not None:
                self._reads.note(message, answer, began)
        except CrossdockError as error:
            outcome = error.code
            if self._reads is not None:
                self._reads.give_up()
            raise
        finally:
            metrics.count_ask(message.wire_name, outcome, time.monotonic() - began)
            # After an error, too: that no answer came does not say that nothing was done.
            if message.is_command and message.service == _WITHDRAWING:
                await self._identities.withdrawn()
        return answer


async def asker(request: HTTPConnection) -> Asker:
    """The request's `ask`. Raises Unauthenticated for a credential that does not hold (and none for no credential)."""
    state = request.scope["state"]
    known: Asker | None = state.get("asker")
    if known is None:
        if (refused := state.get("refused")) is not None:
            # Looked at before: counted, and refused, once.
            raise refused
        try:
            caller = await identities(request).caller(request)
            await spend(request.state, request.app.state.budgets)
            state["shops_read"] = ShopsRead(caller.organization_id, request.app.state.shop_standings)
            known = state["asker"] = asker_for(request, caller)
        except CrossdockError as error:
            state["refused"] = error
            raise
    return known


def asker_for(request: HTTPConnection, caller: Caller) -> Asker:
    """An `ask` for somebody who is known already."""
    return Asker(
        bus=_NotedBus(bus(request), request.scope["state"], identities(request)),
        caller=caller,
        request_id=request.state.request_id,
        idempotency_key=_idempotency_key(request),
        traceparent=request.headers.get("traceparent"),
    )


def bus(request: HTTPConnection) -> Bus:
    return cast(Bus, request.app.state.bus)


def identities(request: HTTPConnection) -> Identities:
    return cast(Identities, request.app.state.identities)


async def caller(request: Request) -> Caller:
    return (await asker(request)).caller


def _idempotency_key(request: HTTPConnection) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 255 and key.isprintable()):
        raise InvalidIdempotencyKey("An Idempotency-Key is 1 to 255 visible characters.")
    return key


Ask = Annotated[Asker, Depends(asker)]
CurrentCaller = Annotated[Caller, Depends(caller)]
