"""Who builds operators' documents in this process."""

from collections.abc import Sequence
from uuid import UUID

from services.search.repository import operator_marks
from services.search.use_cases.batches import Units
from services.search.use_cases.builder import Builders
from services.search.use_cases.operators import building
from shared.contracts.search.operators import DocumentKind
from shared.unit_of_work import UnitOfWork


class OperatorBuilder(Builders[DocumentKind]):
    """Builds the documents of orders and products."""

    # Every sale changes stock, and hardly one a document: within half a second they are looked at together.
    pauses = 3

    async def build_due(self, units: Units, scope: DocumentKind) -> int:
        return await building.build_due(units, scope)


async def mark(uow: UnitOfWork, kind: DocumentKind, ids: Sequence[UUID], *, is_bulk: bool = False) -> None:
    """Mark these, and wake this process's builder after the commit; should it die before, the clock finds them."""
    if not ids:
        return
    await operator_marks.leave(uow, kind, ids, is_bulk=is_bulk)
    organization_id, builder = uow.organization_id, uow.resident(OperatorBuilder)
    uow.when_committed(lambda: builder.wake(organization_id, kind))
