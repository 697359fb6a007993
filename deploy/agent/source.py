"""What a system does for its agent, in the words of `services/sync/platforms/custom/PROTOCOL.md`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared import clock

Item = dict[str, Any]
FIRST_RETRY_SECONDS = 5.0


class Failure(Exception):
    """Why there is no answer, in words for people; `code` is the protocol's."""

    code = "refused"

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message, self.retry_after_seconds = message, retry_after_seconds


class NotNow(Failure):
    """Nothing was done; later it may be."""

    code = "not_now"


class Unclear(Failure):
    """Something broke, and perhaps something was done."""

    code = "unclear"


class NoAccess(Failure):
    """The system does not let the agent in."""

    code = "no_access"


class Refused(Failure):
    """It will never work by itself."""


class Source(Protocol):
    """A system. What is asked is what PROTOCOL.md names; each answer is JSON. Methods raise Failure.

    A write with an operation key that was done before is not done again; one that was begun, and nobody knows how far
    it came, is brought to its end. `ahead` is how far the system's clock is ahead of this machine's, as far as it says.
    """

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        """What time the system has."""
        return clock.now() + self.ahead

    async def hello(self) -> Item: ...

    async def page(self, asked: Mapping[str, Any]) -> Item: ...

    async def read(self, asked: Mapping[str, Any]) -> Item: ...

    async def write(self, name: str, item: Mapping[str, Any]) -> Item: ...

    async def close(self) -> None: ...


def person(message: str) -> Item:
    """The result of a write that needs a person."""
    return {"outcome": "person", "message": message}


def stock_decision(item: Mapping[str, Any], now: int) -> Item | None:
    """What a stock write comes to where there are `now`; None: it is to be done."""
    if now == item["quantity"]:
        return {"outcome": "unchanged", "id": item["id"]}
    if item["expected"] is not None and now != item["expected"]:
        return {"outcome": "stale", "id": item["id"], "fields": {"quantity": now}}
    return None
