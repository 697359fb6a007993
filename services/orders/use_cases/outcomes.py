"""Several messages on their way together: each goes on until it is refused, and no refusal stops another."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from shared.errors import CrossdockError

A = TypeVar("A")
B = TypeVar("B")


async def outcomes(asks: Iterable[Awaitable[A]]) -> list[A | CrossdockError]:
    """What each came to, all asked at once. A defect is raised."""
    found: list[Any] = await asyncio.gather(*asks, return_exceptions=True)
    for outcome in found:
        if isinstance(outcome, BaseException) and not isinstance(outcome, CrossdockError):
            raise outcome
    return found


class Outcomes:
    """One result per message, in their order."""

    def __init__(self, count: int) -> None:
        self._results: list[Any] = [None] * count

    def set(self, place: int, result: Any) -> None:
        self._results[place] = result

    def go_on(self, states: Mapping[int, A], step: Callable[[A], B]) -> dict[int, B]:
        """Those that `step` takes on, by their place; for the others its refusal is the result."""
        further: dict[int, B] = {}
        for place, state in states.items():
            try:
                further[place] = step(state)
            except CrossdockError as refusal:
                self._results[place] = refusal
        return further

    def all(self) -> list[Any]:
        return self._results


def raised(outcome: A | CrossdockError) -> A:
    """What it came to. Raises what it was refused with."""
    if isinstance(outcome, CrossdockError):
        raise outcome
    return outcome
