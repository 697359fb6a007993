"""CSV files that a service tells sheet by sheet, each with where the next one begins."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from starlette.responses import StreamingResponse

from shared.bus.ask import Asker
from shared.contracts.base import Query


class Sheet(Protocol):
    """Lines of the file; `next` is what a question for those that follow says in `after`."""

    @property
    def csv(self) -> str: ...
    @property
    def next(self) -> str | None: ...


S = TypeVar("S", bound=Sheet)


async def download(ask: Asker, wanted: Query[S], file_name: str) -> StreamingResponse:
    """The whole file, streamed as an attachment. Raises what the question for its first sheet does."""
    # Asked before the answer begins, so that a refusal is one.
    first = await ask(wanted)
    return StreamingResponse(
        _sheets(ask, wanted, first),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )


async def _sheets(ask: Asker, wanted: Query[S], sheet: S) -> AsyncIterator[str]:
    yield sheet.csv
    while sheet.next is not None:
        sheet = await ask(wanted.model_copy(update={"after": sheet.next}))
        yield sheet.csv
