"""Records of a platform as a file that another service imports: each file once, however often its run is killed."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.sync.use_cases.executing import Run
from services.sync.use_cases.taking.product_files import CHANNEL_CONTENT
from shared import blobs
from shared.contracts.platform.imports import GetImport, Import, ListImportRemarks, StartImport, import_id_for
from shared.errors import CrossdockError
from shared.identifiers import derived_id

# An import is looked at ever less often; beyond some seconds the run lets go of its worker in between.
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 1.0
_MOST_WAITING_SECONDS = 10.0
_REST_SECONDS = 5.0
_OF_A_SHOP = ("products", CHANNEL_CONTENT)
Refusals = dict[str, tuple[str, str]]


@dataclass
class Sheet:
    """Rows of one file. `mode` is the import's; `owners` says for each row, from the first, whose it is.

    Without a `group` it goes to the one that its taker has for all.
    """

    mode: str
    headings: tuple[str, ...]
    group: str | None = None
    rows: list[dict[str, str]] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)

    def add(self, owner: str, rows: Iterable[dict[str, str]]) -> None:
        for row in rows:
            self.rows.append(row)
            self.owners.append(owner)

    def content(self) -> bytes:
        """NDJSON: a row is a line, whatever is in its cells."""
        nothing = dict.fromkeys(self.headings, "")
        return b"\n".join(orjson.dumps(nothing | row) for row in self.rows)


@dataclass(frozen=True)
class File:
    """A sheet that lies in the blob store, to be imported under an id of its own."""

    import_id: UUID
    group: str
    mode: str
    size: int
    sha256: str
    owners: list[str]

    def told(self) -> dict[str, Any]:
        return vars(self)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "File":
        return cls(**{**told, "import_id": UUID(told["import_id"])})


async def stored(run: Run, group: str, sheet: Sheet, *place: int) -> File:
    """Keep a sheet for its import, which is of its own group or of `group`.

    `place` tells it from the others of the run, and is the same after a kill.
    """
    group = sheet.group or group
    import_id = import_id_for(group, derived_id("sync import", run.job.id, *place))
    kept = await blobs.put(run.job.organization_id, _key(import_id), sheet.content())
    return File(import_id, group, sheet.mode, kept.size, kept.sha256, sheet.owners)


def _key(import_id: UUID) -> str:
    return f"imports/{import_id}/file"


async def carry_out(run: Run, file: File) -> Refusals:
    """Import a file, once, and wait for its end. Returns what was refused: code and words, by owner.

    Raises JobRests while the connection is paused or the import takes long: the run goes on by carrying out the same
    file, so its place has to be in the checkpoint. Raises JobCancelled as every step.
    """
    imported = await _find(run, file.import_id) or await asked(run, _start(run, file))
    seconds, waited = _FIRST_WAIT_SECONDS, 0.0
    while imported.state in ("queued", "running"):
        if waited >= _MOST_WAITING_SECONDS:
            await run.job.rest(_REST_SECONDS)
        await asyncio.sleep(seconds)
        waited += seconds
        seconds = min(seconds * 1.25, _LONGEST_WAIT_SECONDS)
        await run.go_on()
        imported = await asked(run, GetImport(import_id=file.import_id))
    if imported.state != "succeeded":
        said = (imported.error or {}).get("detail") or f"The import {imported.state}."
        return dict.fromkeys(file.owners, ("import_failed", said))
    return await _refused(run, file) if imported.counters.get("errors") else {}


def _start(run: Run, file: File) -> StartImport:
    return StartImport(
        import_id=file.import_id,
        key=_key(file.import_id),
        size=file.size,
        sha256=file.sha256,
        file_name=f"{run.connection['name']}.ndjson",
        group=file.group,
        profile="crossdock",
        mode=file.mode,
        format="ndjson",
        # What a run may take away is weighed by sync itself, of the connection's records.
        guard_percent=100,
        shop=run.connection["shop"] if file.group in _OF_A_SHOP else None,
        origin="schedule",
        origin_detail=f"connection {run.connection_id}",
    )


async def _find(run: Run, import_id: UUID) -> Import | None:
    try:
        found: Import = await asked(run, GetImport(import_id=import_id))
    except CrossdockError as error:
        if error.status != 404:
            raise
        return None
    return found


async def _refused(run: Run, file: File) -> Refusals:
    refused: Refusals = {}
    after: str | None = None
    while True:
        question = ListImportRemarks(import_id=file.import_id, kind="error", first=200, after=after)
        page = await asked(run, question)
        for remark in page.items:
            if 1 <= remark.row <= len(file.owners):
                refused.setdefault(file.owners[remark.row - 1], (remark.code, remark.message))
        if page.next is None:
            return refused
        after = page.next


async def asked(run: Run, message: Any) -> Any:
    """What another service answers to this run."""
    return await run.job.unit_of_work().ask(message, timeout_seconds=60)
