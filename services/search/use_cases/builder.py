"""Who builds in this process: woken after a commit that left marks, one batch of a shop or kind at a time."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from services.search.settings import search_settings
from services.search.use_cases import building
from services.search.use_cases.batches import Units
from shared import background
from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import service_envelope
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.search")

# Building is mostly waiting for answers; more shops at once would only make all of them later.
AT_ONCE = 4


S = TypeVar("S")


class Builders(ABC, Generic[S]):
    """Build what is marked in scopes `S` of organizations.

    Being woken is only a hint, and may be lost: the marks are found by the clock as well.
    """

    # How many times as long as offers' the pause is in which changes gather.
    pauses = 1

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._room = asyncio.Semaphore(AT_ONCE)
        self._wanted: set[tuple[UUID, S]] = set()
        self._running: dict[tuple[UUID, S], asyncio.Task[None]] = {}

    def wake(self, organization_id: UUID, scope: S) -> None:
        """Build what is marked by now, at once or after what is being built."""
        key = (organization_id, scope)
        self._wanted.add(key)
        if key not in self._running:
            self._running[key] = background.begin(self._run(key))

    async def close(self) -> None:
        """Stop in the middle; the marks remain."""
        await background.end(*self._running.values())

    async def _run(self, key: tuple[UUID, S]) -> None:
        try:
            while key in self._wanted:
                self._wanted.discard(key)
                await self._build_all(*key)
        except Exception as error:
            named = translated(error, "building documents", str(key[1]))
            log.warning("building_waits", scope=str(key[1]), error=f"{named.code}: {named.detail}")
        finally:
            del self._running[key]

    async def _build_all(self, organization_id: UUID, scope: S) -> None:
        def unit() -> UnitOfWork:
            return self._surroundings.unit_of_work("search", service_envelope("search", organization_id))

        while built := await self._build_batch(unit, scope):
            if built < building.BATCH:
                # What changes now will change again: an order's goods, a scanner's shelf. Others are built meanwhile.
                await asyncio.sleep(search_settings().build_pause_seconds * self.pauses)

    async def _build_batch(self, unit: Units, scope: S) -> int:
        async with self._room:
            return await self.build_due(unit, scope)

    @abstractmethod
    async def build_due(self, units: Units, scope: S) -> int:
        """Build one batch of what is marked. Returns how many marks there were. Raises what asking raises."""


class Builder(Builders[UUID]):
    """Builds the offers of shops."""

    async def build_due(self, units: Units, scope: UUID) -> int:
        return await building.build_due(units, scope, leaves_loads=True)


def build_soon(uow: UnitOfWork, shop_ids: Iterable[UUID]) -> None:
    """Wake this process's builder once the marks are committed; should it die before, the clock finds them."""
    organization_id, builder = uow.organization_id, uow.resident(Builder)

    def wake() -> None:
        for shop_id in shop_ids:
            builder.wake(organization_id, shop_id)

    uow.when_committed(wake)
