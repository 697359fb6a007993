"""Readers of offers: each process that answers keeps an index per asked-for shop, and what it answered from it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from services.search.engines.base import OfferIndex, Tuning
from services.search.engines.place import Place
from services.search.engines.tantivy import VERSION, open_index
from services.search.errors import ShopNotFound
from services.search.models import StoredOffer
from services.search.repository import documents, shops
from services.search.repository.documents import Followed
from services.search.repository.shops import KnownShop
from services.search.settings import search_settings
from services.search.use_cases import tuning
from services.search.use_cases.following import Follower, Followers
from shared.contracts.base import ReadyJson
from shared.contracts.search.standing import ShopStanding
from shared.unit_of_work import UnitOfWork

# Rows taken over at once, with one commit of the index where somebody waits for them.
_ROWS = 1000


class Reader(Follower[KnownShop, OfferIndex]):
    """One shop as this process knows it: its index, and the answers that were given from its present state."""

    def __init__(self, shop: KnownShop, index: OfferIndex, tuned: Tuning) -> None:
        super().__init__(shop, index)
        self.tuning = tuned
        self._last_state: tuple[Any, ...] = (None, 0, 0, None)
        self._answers: dict[str, ReadyJson] = {}
        self._answers_state = self.state
        self._answers_bytes = 0

    @property
    def shop(self) -> KnownShop:
        return self.standing

    @property
    def state(self) -> ShopStanding:
        """What every answer depends on: two of the same state are the same."""
        shop, sequence, tuned = self.standing, self.index.sequence, self.tuning.version
        known = self._last_state
        if known[0] is not shop or known[1] != sequence or known[2] != tuned:
            state = ShopStanding(str(shop.id), shop.version, shop.generation, sequence, tuned)
            known = self._last_state = shop, sequence, tuned, state
        return known[3]

    def ready(self, answer: Callable[["Reader"], bytes]) -> ReadyJson:
        """An answer, with how far the index was before it was looked for: it is no older than that."""
        state, told = self.state, answer(self)
        return told if isinstance(told, ReadyJson) else ReadyJson.of(told, state)

    def remembered(self, question: str) -> ReadyJson | None:
        """The answer to the same question, if nothing has changed since."""
        state = self.state
        if state != self._answers_state:
            self._answers, self._answers_bytes, self._answers_state = {}, 0, state
        return self._answers.get(question)

    def remember(self, question: str, answer: bytes) -> ReadyJson:
        """Keep an answer that was just found, after `remembered` had none. When there is no more room, all make way."""
        room = search_settings().answers_bytes
        if self._answers_bytes + len(answer) > room:
            self._answers, self._answers_bytes = {}, 0
        told = ReadyJson.of(answer, self._answers_state)
        if len(answer) <= room:
            self._answers[question] = told
            self._answers_bytes += len(answer)
        return told


class Readers(Followers[tuple[UUID, str], KnownShop, Reader]):
    """Every reader of offers in this process, by organization and the shop's code."""

    kind = "offers"
    folder = "index"

    async def reader(self, organization_id: UUID, code: str) -> Reader:
        """The reader of a shop, caught up at first. Raises ShopNotFound."""
        return await self._reader((organization_id, code))

    def heard(self, organization_id: UUID, code: str, standing: ShopStanding, asked_at: float) -> None:
        """An answer came from here: there is nothing to be learned from it."""

    def of(self, organization_id: UUID, code: str) -> ShopStanding | None:
        """How far the reader of a shop is, which counts as asking for it; None where none is open."""
        reader = self._readers.get((organization_id, code))
        if reader is None:
            return None
        self._note_asked((organization_id, code), reader)
        return reader.state

    async def _find(self, key: tuple[UUID, str]) -> KnownShop:
        organization_id, code = key
        uow = self._unit(organization_id)
        try:
            shop = await shops.find_by_code(uow, code)
        finally:
            await uow.rollback()
        if shop is None:
            raise ShopNotFound(f"There is no shop '{code}'.")
        return shop

    async def _made(self, standing: KnownShop, index: OfferIndex) -> Reader:
        return Reader(standing, index, await self._tuned(standing))

    async def _tuned(self, shop: KnownShop) -> Tuning:
        uow = self._unit(shop.organization_id)
        try:
            return await tuning.of_shop(uow, shop)
        finally:
            await uow.rollback()

    def _index_folder(self, place: Place, standing: KnownShop) -> Path:
        name = f"{VERSION}-{standing.generation}-{standing.locale}"
        return place.of_shop(standing.organization_id, standing.id, name)

    def _open_folder(self, folder: Path, standing: KnownShop, *, afresh: bool) -> OfferIndex:
        return open_index(folder, standing.locale, afresh=afresh)

    async def _follow_rows(self, uow: UnitOfWork, standing: KnownShop, after: int) -> Followed[StoredOffer]:
        return await documents.follow(uow, standing.id, after, _ROWS)

    async def _list_standing(self, uow: UnitOfWork, readers: Sequence[Reader]) -> Mapping[Hashable, KnownShop]:
        keys = [(reader.shop.organization_id, reader.shop.id) for reader in readers]
        return {self._folder_of(shop): shop for shop in await shops.list_followed(uow, keys)}

    def _folder_of(self, standing: KnownShop) -> tuple[UUID, UUID]:
        return standing.organization_id, standing.id

    def _is_gone(self, reader: Reader, standing: KnownShop | None) -> bool:
        """Also by this code: it is another's, or nobody's."""
        return standing is None or standing.is_removed or standing.code != reader.shop.code

    def _is_another(self, reader: Reader, standing: KnownShop) -> bool:
        return super()._is_another(reader, standing) or standing.locale != reader.shop.locale

    def _is_behind(self, reader: Reader, standing: KnownShop) -> bool:
        return super()._is_behind(reader, standing) or standing.tuning_version != reader.tuning.version

    async def _prepare(self, reader: Reader, standing: KnownShop) -> None:
        if standing.tuning_version != reader.tuning.version:
            reader.tuning = await self._tuned(standing)

    def _leave(self, place: Place, reader: Reader, standing: KnownShop | None) -> None:
        """Of a shop that is gone nothing stays."""
        if standing is None or standing.is_removed:
            place.remove_shop(reader.shop.organization_id, reader.shop.id)
