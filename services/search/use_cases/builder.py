"""Who builds in this process: woken after a commit that left marks, one batch of a shop at a time."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog

from services.search.settings import search_settings
from services.search.use_cases import building
from shared import background
from shared.bus.answering import Surroundings, translated
from shared.bus.envelope import service_envelope
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.search")

# Building is mostly waiting for answers; more shops at once would only make all of them later.
AT_ONCE = 4


class Builder:
    """Builds what is marked. Being woken is only a hint, and may be lost: the marks are found by the clock as well."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._room = asyncio.Semaphore(AT_ONCE)
        self._wanted: set[tuple[UUID, UUID]] = set()
        self._running: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}

    def wake(self, organization_id: UUID, shop_id: UUID) -> None:
        """Build what is marked in a shop by now, at once or after what is being built."""
        key = (organization_id, shop_id)
        self._wanted.add(key)
        if key not in self._running:
            self._running[key] = background.begin(self._run(key))

    async def close(self) -> None:
        """Stop in the middle; the marks remain."""
        await background.end(*self._running.values())

    async def _run(self, key: tuple[UUID, UUID]) -> None:
        try:
            while key in self._wanted:
                self._wanted.discard(key)
                await self._build_all(*key)
        except Exception as error:
            named = translated(error, "building offers", key[1].hex)
            log.warning("building_waits", shop_id=str(key[1]), error=f"{named.code}: {named.detail}")
        finally:
            del self._running[key]

    async def _build_all(self, organization_id: UUID, shop_id: UUID) -> None:
        def unit() -> UnitOfWork:
            return self._surroundings.unit_of_work("search", service_envelope("search", organization_id))

        while built := await self._build_batch(unit, shop_id):
            if built < building.BATCH:
                # What changes now will change again: an order's goods, a scanner's shelf. Others are built meanwhile.
                await asyncio.sleep(search_settings().build_pause_seconds)

    async def _build_batch(self, unit: building.Units, shop_id: UUID) -> int:
        async with self._room:
            return await building.build_due(unit, shop_id, leaves_loads=True)


def build_soon(uow: UnitOfWork, shop_ids: Iterable[UUID]) -> None:
    """Wake this process's builder once the marks are committed; should it die before, the clock finds them."""
    organization_id, builder = uow.organization_id, uow.resident(Builder)

    def wake() -> None:
        for shop_id in shop_ids:
            builder.wake(organization_id, shop_id)

    uow.when_committed(wake)
