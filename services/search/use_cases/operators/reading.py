"""Readers of operators' documents: each process that answers keeps an index per asked-for organization."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from services.search.engines.operators import VERSION, OperatorIndex, open_operator_index
from services.search.engines.place import Place
from services.search.models import StoredEntry
from services.search.repository import operator_documents
from services.search.repository.documents import Followed
from services.search.repository.operator_documents import KnownIndex
from services.search.use_cases.following import Follower, Followers
from shared.unit_of_work import UnitOfWork

# Rows taken over with one commit of the index.
_ROWS = 5000


class OperatorReader(Follower[KnownIndex, OperatorIndex]):
    """One organization's index as this process knows it."""


class OperatorReaders(Followers[UUID, KnownIndex, OperatorReader]):
    """Every such reader of this process, by organization."""

    kind = "operators"
    folder = "operator-index"

    async def reader(self, organization_id: UUID) -> OperatorReader:
        """The organization's reader, caught up at first."""
        return await self._reader(organization_id)

    async def _find(self, key: UUID) -> KnownIndex:
        uow = self._unit(key)
        try:
            return await operator_documents.find_index(uow)
        finally:
            await uow.rollback()

    async def _made(self, standing: KnownIndex, index: OperatorIndex) -> OperatorReader:
        return OperatorReader(standing, index)

    def _index_folder(self, place: Place, standing: KnownIndex) -> Path:
        return place.of_organization(standing.organization_id, f"{VERSION}-{standing.generation}")

    def _open_folder(self, folder: Path, standing: KnownIndex, *, afresh: bool) -> OperatorIndex:
        return open_operator_index(folder, afresh=afresh)

    async def _follow_rows(self, uow: UnitOfWork, standing: KnownIndex, after: int) -> Followed[StoredEntry]:
        return await operator_documents.follow(uow, after, _ROWS)

    async def _list_standing(self, uow: UnitOfWork, readers: Sequence[OperatorReader]) -> Mapping[Hashable, KnownIndex]:
        """One that has no row yet has nothing to catch up with, and stays where it is."""
        standing: dict[Hashable, KnownIndex] = {r.standing.organization_id: r.standing for r in readers}
        followed = [reader.standing.organization_id for reader in readers]
        found = await operator_documents.list_followed(uow, followed)
        return standing | {each.organization_id: each for each in found}
