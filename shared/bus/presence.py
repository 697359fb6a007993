"""Whether services that live in other processes answer, seen by whoever asks them."""

import asyncio
import time
from collections.abc import Sequence

from shared import background
from shared.bus.ask import Bus
from shared.bus.envelope import service_envelope
from shared.contracts.platform.messages import StillOpen
from shared.errors import CarriedError, CrossdockError, Unavailable

_REMEMBERED_SECONDS = 2.0
# A probe is not kept waiting for longer; what comes later is seen by the next one.
_LOOK_SECONDS = 1.0
# So long no answer may take: a service that is busy is not gone.
_PATIENCE_SECONDS = 3.0
_DEADLINE_SECONDS = 10.0


class ServiceSilent(Unavailable):
    """A service answers nothing: it is frozen, gone, or takes no more requests."""


class Presence:
    """Asks every service now and then what costs it next to nothing."""

    def __init__(self, bus: Bus, services: Sequence[str]) -> None:
        self._bus = bus
        self._asked: dict[str, tuple[float, asyncio.Task[bool]]] = {}
        self._services = services

    async def check(self) -> None:
        """Raises ServiceSilent, with the names of those that do not answer."""
        for service in self._services:
            self._ask_now_and_then(service)
        waiting = [task for _, task in self._asked.values() if not task.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=_LOOK_SECONDS)
        silent = [f"'{service}'" for service in self._services if self._is_silent(service)]
        if silent:
            raise ServiceSilent(f"No answer from {', '.join(silent)}.")

    async def close(self) -> None:
        """Wait for no answer any more."""
        await background.end(*(task for _, task in self._asked.values()))

    def _ask_now_and_then(self, service: str) -> None:
        asked_at, task = self._asked.get(service, (float("-inf"), None))
        if task is None or (task.done() and time.monotonic() - asked_at > _REMEMBERED_SECONDS):
            self._asked[service] = (time.monotonic(), background.begin(self._answers(service)))

    async def _answers(self, service: str) -> bool:
        question = StillOpen(service_name=service, listener="gateway", event_ids=[])
        try:
            await self._bus.ask(question, service_envelope("gateway", None, timeout_seconds=_DEADLINE_SECONDS))
        except CarriedError:
            # Also a refusal is an answer; what the service lacks is for its own readiness to say.
            return True
        except CrossdockError:
            return False
        return True

    def _is_silent(self, service: str) -> bool:
        asked_at, task = self._asked[service]
        return not task.result() if task.done() else time.monotonic() - asked_at > _PATIENCE_SECONDS


__all__ = ["Presence", "ServiceSilent"]
