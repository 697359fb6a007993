"""Readers: each process that answers keeps an index per asked-for shop and lets it follow the documents table.

Only so many are open at once, and none that nobody asks for. What is closed keeps its folder, and goes on from there.
"""

import asyncio
from collections import OrderedDict
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Histogram

from services.search.engines.base import IndexUnreadable, OfferIndex, Tuning
from services.search.engines.place import Place
from services.search.engines.tantivy import VERSION, open_index
from services.search.errors import ShopNotFound
from services.search.repository import documents, shops
from services.search.repository.shops import KnownShop
from services.search.settings import search_settings
from services.search.use_cases import tuning
from shared import background, clock
from shared.bus.answering import Surroundings
from shared.bus.envelope import service_envelope
from shared.errors import CrossdockError
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

log = structlog.get_logger("crossdock.search")

# Rows taken over with one commit of the index: a commit costs 15 to 45 ms whatever it carries.
_ROWS = 2000
# A writer's threads and memory are given back when nothing came for so long.
_REST_SECONDS = 20.0
_WEATHER = (CrossdockError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

FRESHNESS = Histogram(
    "crossdock_search_freshness_seconds",
    "From the moment search heard of a change until this process finds it. Target: 95 % within one second.",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 60),
)


class Reader:
    """One shop as this process knows it: its index, and the answers that were given from its present state."""

    def __init__(self, shop: KnownShop, index: OfferIndex, tuned: Tuning) -> None:
        self.shop = shop
        self.index = index
        self.tuning = tuned
        self._answers: dict[str, bytes] = {}
        self._answers_state = (shop, index.sequence, tuned.version)
        self._answers_bytes = 0
        self.is_busy = False
        self.rests_at = 0.0
        self.asked_at = 0.0

    def remembered(self, question: str) -> bytes | None:
        """The answer to the same question, if nothing has changed since."""
        state = (self.shop, self.index.sequence, self.tuning.version)
        if state != self._answers_state:
            self._answers, self._answers_bytes, self._answers_state = {}, 0, state
        return self._answers.get(question)

    def remember(self, question: str, answer: bytes) -> None:
        """Keep an answer that was just found. When there is no more room, all make way."""
        room = search_settings().answers_bytes
        if self._answers_bytes + len(answer) > room:
            self._answers, self._answers_bytes = {}, 0
        if len(answer) <= room:
            self._answers[question] = answer
            self._answers_bytes += len(answer)


class Readers:
    """Every reader of this process."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        # The one that was asked longest ago comes first.
        self._by_code: OrderedDict[tuple[UUID, str], Reader] = OrderedDict()
        self._opening: dict[tuple[UUID, str], asyncio.Task[Reader]] = {}
        # By shop: whoever opens its folder again waits until the last one has left it.
        self._closing: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._place: Place | None = None

    async def reader(self, organization_id: UUID, code: str) -> Reader:
        """The reader of a shop, caught up at first. Raises ShopNotFound."""
        key = (organization_id, code)
        known = self._by_code.get(key)
        if known is not None:
            self._note_asked(key, known)
            return known
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = background.begin(self._open(*key))
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        # Who asked may give up waiting; what was begun goes on for the next.
        return await asyncio.shield(opening)

    async def close(self) -> None:
        await background.end(*self._tasks, *self._opening.values(), self._following)
        for reader in self._by_code.values():
            await asyncio.to_thread(reader.index.close)
        if self._place is not None:
            self._place.close()

    def _note_asked(self, key: tuple[UUID, str], reader: Reader) -> None:
        reader.asked_at = asyncio.get_running_loop().time()
        self._by_code.move_to_end(key)

    # --- opening

    async def _open(self, organization_id: UUID, code: str) -> Reader:
        uow = self._unit(organization_id)
        try:
            shop = await shops.find_by_code(uow, code)
        finally:
            await uow.rollback()
        if shop is None:
            raise ShopNotFound(f"There is no shop '{code}'.")
        if (closing := self._closing.get((organization_id, shop.id))) is not None:
            await asyncio.wait([closing])
        index = await self._opened(shop)
        reader = self._by_code[(organization_id, code)] = Reader(shop, index, await self._tuned(shop))
        self._note_asked((organization_id, code), reader)
        if self._following is None:
            self._following = background.begin(self._follow())
        return reader

    async def _opened(self, shop: KnownShop, *, afresh: bool = False) -> OfferIndex:
        """The shop's index, taken over from an earlier process or new, with all rows there are."""
        if self._place is None:
            self._place = Place(Path(settings().data) / "index")
        folder = self._place.of_shop(shop.organization_id, shop.id, f"{VERSION}-{shop.generation}-{shop.locale}")
        index = await asyncio.to_thread(open_index, folder, shop.locale, afresh=afresh)
        await self._catch_up(shop, index, is_new=True)
        await asyncio.to_thread(self._place.remove_others, folder)
        return index

    async def _tuned(self, shop: KnownShop) -> Tuning:
        uow = self._unit(shop.organization_id)
        try:
            return await tuning.of_shop(uow, shop)
        finally:
            await uow.rollback()

    def _unit(self, organization_id: UUID | None) -> UnitOfWork:
        envelope = service_envelope("search", organization_id)
        return self._surroundings.unit_of_work("search", envelope, across_tenants=organization_id is None)

    # --- following

    async def _follow(self) -> None:
        """Look every so often how far each shop is. What goes wrong is logged; what was read stays readable."""
        while True:
            await asyncio.sleep(search_settings().follow_seconds)
            try:
                await self._look()
            except _WEATHER as error:
                log.warning("readers_wait", error=str(error))
            except Exception as error:
                # A follower that ends would serve ever older offers without a word.
                log.error("readers_stumble", exc_info=error)

    async def _look(self) -> None:
        self._close_unasked()
        readers = {(reader.shop.organization_id, reader.shop.id): reader for reader in self._by_code.values()}
        if not readers:
            return
        uow = self._unit(None)
        try:
            standing = {(s.organization_id, s.id): s for s in await shops.list_followed(uow, list(readers))}
        finally:
            await uow.rollback()
        for key, reader in readers.items():
            if not reader.is_busy:
                self._bring_on(reader, standing.get(key))

    def _bring_on(self, reader: Reader, shop: KnownShop | None) -> None:
        if shop is None or shop.is_removed or shop.code != reader.shop.code:
            self._close(reader, is_gone=shop is None or shop.is_removed)
        elif (shop.generation, shop.locale) != (reader.shop.generation, reader.shop.locale):
            self._start(reader, self._renew(reader, shop))
        elif shop.sequence > reader.index.sequence or shop.tuning_version != reader.tuning.version:
            self._start(reader, self._go_on(reader, shop))
        elif reader.rests_at and asyncio.get_running_loop().time() > reader.rests_at:
            reader.rests_at = 0.0
            self._start(reader, asyncio.to_thread(reader.index.rest))

    def _close_unasked(self) -> None:
        """Close the readers nobody asked for in a long time and, of too many, those that were asked longest ago."""
        surplus = len(self._by_code) - search_settings().readers
        since = asyncio.get_running_loop().time() - search_settings().reader_idle_seconds
        for reader in list(self._by_code.values()):
            if surplus <= 0 and reader.asked_at > since:
                return
            surplus -= 1
            # One that is at work has its turn at a later look.
            if not reader.is_busy:
                self._close(reader)

    def _close(self, reader: Reader, *, is_gone: bool = False) -> None:
        """Let go of a reader; who still has it may read to the end. Of a shop that is gone nothing stays."""
        organization_id, shop_id = key = (reader.shop.organization_id, reader.shop.id)
        del self._by_code[(organization_id, reader.shop.code)]

        async def close() -> None:
            await asyncio.to_thread(reader.index.close)
            if is_gone and self._place is not None:
                await asyncio.to_thread(self._place.remove_shop, organization_id, shop_id)

        closing = self._closing[key] = self._start(reader, close())
        closing.add_done_callback(lambda _: self._closing.pop(key, None))

    def _start(self, reader: Reader, work: object) -> asyncio.Task[None]:
        """Do one thing for a reader beside the others; the next look finds what it left."""
        reader.is_busy = True

        async def do() -> None:
            try:
                await work  # type: ignore[misc]
            except _WEATHER as error:
                log.warning("reader_waits", shop_id=str(reader.shop.id), error=str(error))
            except Exception as error:
                log.error("reader_failed", shop_id=str(reader.shop.id), exc_info=error)
            finally:
                reader.is_busy = False

        task = asyncio.create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _go_on(self, reader: Reader, shop: KnownShop) -> None:
        if shop.tuning_version != reader.tuning.version:
            reader.tuning = await self._tuned(shop)
        try:
            await self._catch_up(shop, reader.index)
        except IndexUnreadable as error:
            log.warning("index_filled_anew", shop_id=str(shop.id), error=str(error))
            await self._renew(reader, shop, afresh=True)
        reader.shop = shop
        reader.rests_at = asyncio.get_running_loop().time() + _REST_SECONDS

    async def _renew(self, reader: Reader, shop: KnownShop, *, afresh: bool = False) -> None:
        """Fill a new index beside the present one, which answers until the new one takes its place."""
        before = reader.index
        reader.index = await self._opened(shop, afresh=afresh)
        reader.shop = shop
        await asyncio.to_thread(before.close)

    async def _catch_up(self, shop: KnownShop, index: OfferIndex, *, is_new: bool = False) -> None:
        """Take over all rows the index has not seen."""
        while True:
            uow = self._unit(shop.organization_id)
            try:
                followed = await documents.follow(uow, shop.id, index.sequence, _ROWS)
            finally:
                await uow.rollback()
            if not followed.changed_at:
                return
            await asyncio.to_thread(index.apply, followed.offers, followed.sequence)
            if not is_new:
                now = clock.now()
                for changed_at in followed.changed_at:
                    FRESHNESS.observe((now - changed_at).total_seconds())
            if followed.sequence >= shop.sequence:
                return
