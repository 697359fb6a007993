"""What a bus is, and how one caller's `ask` is bound to it."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from shared.bus.envelope import Caller, Envelope, envelope_for
from shared.contracts.base import Message

A = TypeVar("A")


class Bus(Protocol):
    """Carries a message to the service it names and its answer back.

    Raises whatever CrossdockError the service raised; Overloaded at once when too much waits already; DeadlineExceeded
    when no answer came in time (it may still have happened: ask again with the same idempotency key).
    """

    async def ask(self, message: Message[A], envelope: Envelope) -> A: ...

    async def ask_ready(self, message: Message[Any], envelope: Envelope) -> bytes:
        """As `ask`, with the answer as JSON: for large ones without secrets, that are handed on unread."""
        answer = await self.ask(message, envelope)
        return answer if isinstance(answer, bytes) else message.answer_type().dump_json(answer)


@dataclass(frozen=True)
class Asker:
    """`ask(message)` on behalf of one request."""

    bus: Bus
    caller: Caller
    request_id: str
    idempotency_key: str | None = None
    traceparent: str | None = None

    async def __call__(self, message: Message[A], *, idempotency_key: str | None = None) -> A:
        """Ask, with the request's own Idempotency-Key where the message is a command."""
        return await self.bus.ask(message, self._envelope(message, idempotency_key))

    async def ready(self, message: Message[Any]) -> bytes:
        """Ask, and hand on the answer as JSON."""
        return await self.bus.ask_ready(message, self._envelope(message, None))

    def _envelope(self, message: Message[Any], idempotency_key: str | None) -> Envelope:
        key = idempotency_key or self.idempotency_key
        return envelope_for(
            self.caller,
            timeout_seconds=message.timeout_seconds,
            request_id=self.request_id,
            idempotency_key=key if message.is_command else None,
            traceparent=self.traceparent,
        )

    def without_key(self) -> "Asker":
        """For the questions a request asks beside its one command."""
        return replace(self, idempotency_key=None)


__all__ = ["Asker", "Bus"]
