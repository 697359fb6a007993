"""What all writes have in common: what of a record is to be written at all, and what came of several at once."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from services.sync.errors import AnswerNotUnderstood, CredentialsRefused, PlatformAway
from services.sync.platforms.base import Fields, Written
from shared.errors import CrossdockError

# As many as `http.py` keeps connections for, less one for those who wait for an answer.
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Compared:
    """Of the fields of a write: which the platform has otherwise than was expected, and which are to be written."""

    stale: tuple[str, ...]
    changed: Fields


def compare(wanted: Mapping[str, object], expected: Mapping[str, object], current: Mapping[str, object]) -> Compared:
    """Read, check, then write, where a platform has no compare-and-set. All fields as the platform keeps them."""
    different = {name: value for name, value in wanted.items() if current.get(name) != value}
    stale = tuple(name for name in different if name in expected and current.get(name) != expected[name])
    return Compared(stale, different)


async def settle(
    works: Sequence[Awaitable[Written]], *, may_raise: bool = True, at_once: int = AT_ONCE
) -> list[Written]:
    """What came of each. Raises CredentialsRefused when all were refused for that, and what is nobody's answer:
    what was written beside it is found there the next time.
    """
    gate = asyncio.Semaphore(at_once)

    async def through(work: Awaitable[Written]) -> Written:
        async with gate:
            return await work

    found = await asyncio.gather(*(through(work) for work in works), return_exceptions=True)
    refused = [each for each in found if isinstance(each, CredentialsRefused)]
    if may_raise and refused and len(refused) == len(found):
        raise refused[0]
    return [each if isinstance(each, Written) else failed(each) for each in found]


def failed(error: BaseException) -> Written:
    """What an error means for the one write that met it. Raises it when it means nothing."""
    if isinstance(error, PlatformAway | AnswerNotUnderstood):
        return Written("retry", error.detail, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, CredentialsRefused):
        return Written("retry", error.detail)
    if isinstance(error, CrossdockError):
        return Written("person", error.detail)
    raise error
