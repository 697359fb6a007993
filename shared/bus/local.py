"""The bus of the all-in-one process: a direct call, with the same bounds, deadlines and errors as over a queue."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.bus.answering import Surroundings, UnknownMessage, answer
from shared.bus.ask import Bus
from shared.bus.envelope import Envelope
from shared.contracts.base import Message
from shared.errors import CarriedError, CrossdockError, Overloaded, Unavailable
from shared.service import Service

A = TypeVar("A")


# So many are being answered at once, as by a service of its own; the others wait for the processor and the database.
_AT_ONCE = 64
_SILENT_SECONDS = 3.0
_RETRY_SECONDS = 2


@dataclass
class _Pace:
    """How many asks of one service are open, and how many it has answered since there was none."""

    waiting: int = 0
    answered: float = 0.0
    since: float = 0.0

    def begin(self) -> None:
        if self.waiting == 0:
            self.answered, self.since = 0.0, time.monotonic()
        self.waiting += 1

    def end(self, *, is_answered: bool) -> None:
        self.waiting -= 1
        self.answered += is_answered
        elapsed = time.monotonic() - self.since
        if elapsed > 10:
            # Fades with a half-life of some seconds.
            self.answered, self.since = self.answered / 2, self.since + elapsed / 2

    def is_too_slow(self, seconds: float) -> bool:
        """Whether one more could not be answered within `seconds`. A second's evidence is needed."""
        elapsed = time.monotonic() - self.since
        if self.waiting <= _AT_ONCE or elapsed < 1:
            return False
        if not self.answered:
            return elapsed > _SILENT_SECONDS
        return (self.waiting - _AT_ONCE) * elapsed / self.answered > seconds


class LocalBus(Bus):
    """Every service answers in this process."""

    def __init__(self, services: Mapping[str, Service], *, bound: int = 1000) -> None:
        self._services = services
        self._bound = bound
        self._paces = {name: _Pace() for name in services}
        self._surroundings: Surroundings | None = None

    def surrounded_by(self, surroundings: Surroundings) -> None:
        """Tie the knot: answers ask through this same bus."""
        self._surroundings = surroundings

    async def ask(self, message: Message[A], envelope: Envelope) -> A:
        """Answer here. Raises UnknownMessage, Overloaded, and what the service raises."""
        name = message.destination()
        service = self._services.get(name)
        if service is None or self._surroundings is None:
            raise UnknownMessage(f"There is no service '{name}'.")
        pace = self._paces[name]
        if pace.waiting >= self._bound:
            raise Overloaded(f"The service '{name}' has {self._bound} requests waiting.", retry_after_seconds=1)
        if pace.is_too_slow(envelope.remaining_seconds):
            raise Overloaded(
                f"More waits for the service '{name}' than it can answer in time.", retry_after_seconds=_RETRY_SECONDS
            )
        pace.begin()
        is_answered = False
        try:
            result: Any = await answer(service, self._surroundings, message, envelope)
            is_answered = True
        except CrossdockError as error:
            is_answered = not isinstance(error, Unavailable)
            # As over a queue: an asker knows another service's errors by their code, never by their class.
            raise CarriedError(error.problem(), error.retry_after_seconds) from error
        finally:
            pace.end(is_answered=is_answered)
        return result
