"""From marks to operators' documents: ask whoever owns them what they are now, write what came out differently."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.search.models import OperatorEntry
from services.search.repository import operator_documents
from services.search.repository.operator_documents import OperatorRow
from services.search.repository.operator_marks import MARKS
from services.search.use_cases.batches import Units, Work, reading
from services.search.use_cases.operators import order_entries, product_entries
from shared.contracts.search.operators import DocumentKind
from shared.unit_of_work import UnitOfWork

BATCH = 200


@dataclass(frozen=True)
class Source:
    """Who owns what is found: what becomes of some by their ids, and a page of all ids there are."""

    entries: Callable[[Units, Sequence[UUID]], Awaitable[dict[UUID, OperatorEntry]]]
    list_ids: Callable[[Units, UUID | None, int], Awaitable[list[UUID]]]


SOURCES: dict[DocumentKind, Source] = {
    "order": Source(order_entries.ask, order_entries.list_ids),
    "product": Source(product_entries.ask, product_entries.list_ids),
}


async def build_due(units: Units, kind: DocumentKind) -> int:
    """Build one batch of what is marked. Returns how many marks there were. Raises what asking raises."""
    async with reading(units) as uow:
        due = await MARKS.list_due(uow, kind, BATCH)
    if due:
        await _WORK.build(units, kind, due)
    return len(due)


async def gather(units: Units, kind: DocumentKind, changed: dict[UUID, datetime]) -> list[OperatorRow]:
    """What becomes of these, as things are now. Raises what asking raises."""
    entries = await SOURCES[kind].entries(units, list(changed))
    return [
        OperatorRow(id_, operator_documents.encoded(entries[id_]) if id_ in entries else None, changed_at)
        for id_, changed_at in changed.items()
    ]


async def write(uow: UnitOfWork, kind: DocumentKind, rows: Sequence[OperatorRow], version: int) -> int:
    """Returns how many documents are others now, or gone."""
    return await operator_documents.write(uow, kind, rows, version)


_WORK: Work[DocumentKind, OperatorRow] = Work(MARKS, gather, write)
