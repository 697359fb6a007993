"""Imports of every service: a file of one group, from wherever it came, and what it did.

Each group belongs to one service. An import's id says whose it is, so that every question about it finds its way by
itself: its last byte is the service's number in `_NUMBERS`.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.accounts.shapes import TimeZone, WebAddress
from shared.contracts.base import Command, Event, Message, Page, Query, Shape
from shared.contracts.platform.shapes import Actor, JobState
from shared.identifiers import new_id
from shared.measures import WeightUnit
from shared.pagination import First

A = TypeVar("A")

# Which service takes the files of a group.
GROUPS: dict[str, str] = {
    "products": "catalog",
    "prices": "catalog",
    "variants": "catalog",
    "categories": "catalog",
    "channel-content": "catalog",
    "stock": "inventory",
    "suppliers": "inventory",
    "supplier-links": "inventory",
    "customers": "orders",
    "orders": "orders",
}
# Groups whose imports are not taken back, and why.
NEVER_UNDONE: dict[str, str] = {
    "orders": "Imported orders stay: they are in the books, stock was reserved for them, and they are worked on."
    " Cancel those that should not be, one by one or with POST /v1/orders/act.",
}
_NUMBERS = {"catalog": 1, "inventory": 2, "orders": 3}
_SERVICES = {number: service for service, number in _NUMBERS.items()}

ImportMode = Literal["merge", "insert-only", "update-only", "replace", "delete"]
MissingPolicy = Literal["keep", "archive"]
OnError = Literal["skip", "abort"]
ImportState = Literal["queued", "running", "held", "succeeded", "failed", "cancelled", "undone"]
ImportOrigin = Literal["upload", "api", "url", "drop_folder", "schedule"]
SampleKind = Literal["insert", "update", "skip", "delete"]


def service_of_group(group: str) -> str:
    """The service that takes files of `group`; one that says so itself where there is no such group."""
    return GROUPS.get(group, "catalog")


def import_id_for(group: str, basis: UUID | None = None) -> UUID:
    """A fresh id for an import of `group`, or the one that `basis` always gives."""
    number = _NUMBERS[service_of_group(group)]
    return UUID(int=((basis or new_id()).int & ~0xFF) | number)


def service_of_import(import_id: UUID) -> str:
    """The service that an import's id names; one that does not know it where it names none."""
    return _SERVICES.get(import_id.bytes[-1], "catalog")


class Harm(Shape):
    """What an import would delete, deactivate or set to zero: so many of those that are there now."""

    what: str
    count: int
    of: int


class ImportUndo(Shape):
    """The undoing of an import: the job that does it, how many fields and rows it could not give back, and what it
    does not reach."""

    job_id: UUID
    state: JobState
    requested_by: Actor
    conflicts: int
    notes: list[str]
    finished_at: datetime | None


class ImportReading(Shape):
    """How a file was read: as its uploader said, and where nobody said it, as its content showed."""

    profile: str | None
    format: str
    encoding: str | None
    delimiter: str | None


class Import(Shape):
    """A file of one group, and what came of it.

    `counters`: `rows`; `<thing>_inserted`, `_updated`, `_unchanged`, `_skipped`, `_deleted` for products, variants,
    prices and so on; `errors`, `notices`, `skus_generated`, `stock_rows`. A dry run counts what would happen.
    A `held` import would take away more than `guard_percent` of something (`harms`) and waits to be confirmed.
    `read_as` is there once the file has been opened; `profile`, `format`, `encoding` and `delimiter` are what was asked
    for. `same_as` is the latest import of the same bytes. Size and checksum of a file that is fetched come with it.
    `can_be_undone`: imports of its group can be taken back, and it was no dry run.
    """

    id: UUID
    job_id: UUID
    service: str
    group: str
    profile: str | None
    mode: ImportMode
    missing: MissingPolicy
    on_error: OnError
    format: str | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    guard_percent: int
    dry_run: bool
    shop: str | None
    origin: ImportOrigin
    origin_detail: str | None
    file_name: str | None
    size: int | None
    sha256: str | None
    same_as: UUID | None
    dry_run_of: UUID | None
    rerun_of: UUID | None
    state: ImportState
    counters: dict[str, int]
    harms: list[Harm]
    error: dict[str, Any] | None
    undo: ImportUndo | None
    requested_by: Actor
    confirmed_by: Actor | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    read_as: ImportReading | None = None
    weight_unit: WeightUnit | None = None
    media_base_url: str | None = None
    time_zone: str | None = None
    can_be_undone: bool = True


class ImportRemark(Shape):
    """What was wrong with a row (`error`), or was done to it that its uploader should know (`notice`)."""

    kind: Literal["error", "notice"]
    row: int
    column: str | None
    value: str | None
    code: str
    message: str


class SampleField(Shape):
    """One field of a sample. An insert has nothing before, a delete nothing after."""

    field: str
    before: Any | None = None
    after: Any | None = None


class ImportSample(Shape):
    """One thing that an import would insert, update, skip or delete; `name` is its key in the file."""

    kind: SampleKind
    part: str
    name: str
    fields: list[SampleField]


class ImportConflict(Shape):
    """A row or field that an undo left as it is, because somebody else touched it since, or it can not come back.

    `imported` is what the import wrote, `before` what was there before it.
    """

    part: str
    name: str
    field: str | None
    code: str
    message: str
    before: Any | None
    imported: Any | None
    cause: str | None
    cause_id: UUID | None


class ImportFile(Shape):
    """Where a file of an import lies in the blob store, within the organization."""

    name: str
    key: str
    media_type: str
    size: int


# --- what starts an import

_Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
GuardPercent = Annotated[int, Field(ge=0, le=100)]


class ImportOptions(Shape):
    """How a file is read and what it may do.

    `mode`: `merge` writes what the file says, an empty cell says nothing; `insert-only` and `update-only` leave out
    what is known or new; `replace` lets an empty cell empty its field; `delete` takes away what the rows name (products
    are archived, never destroyed). `missing`, in replace: what the file does not name is kept, or archived. `on_error`:
    rows with errors are skipped, or nothing at all is taken (`abort`). An import that would take away more than
    `guard_percent` of what is there is held until it is confirmed; 100 never holds.

    What products files of some platforms leave open: `weight_unit` of weights without one (magento, supplier),
    `media_base_url`, below which paths of pictures lie (magento), `time_zone` of dates (woocommerce, magento).
    """

    group: _Word = "products"
    profile: _Word | None = None
    mode: _Word = "merge"
    missing: MissingPolicy = "keep"
    on_error: OnError = "skip"
    format: _Word | None = None
    encoding: _Word | None = None
    delimiter: _Word | None = None
    sheet: _Word | None = None
    guard_percent: GuardPercent | None = None
    dry_run: bool = False
    shop: _Word | None = None
    weight_unit: WeightUnit | None = None
    media_base_url: WebAddress | None = None
    time_zone: TimeZone | None = None


class StartImport(ImportOptions, Command[Import]):
    """Import a file that lies in the blob store under `key`, or that `url` names.

    Raises unsupported_group, unsupported_mode, unsupported_option, unknown_profile, shop_not_named, shop_not_found,
    import_not_found.
    """

    import_id: UUID
    key: str
    size: int
    sha256: str
    file_name: str | None = None
    origin: ImportOrigin = "api"
    origin_detail: str | None = None
    rerun_of: UUID | None = None

    def destination(self) -> str:
        return service_of_group(self.group)

    @model_validator(mode="after")
    def _id_is_of_the_group(self) -> "StartImport":
        if service_of_import(self.import_id) != self.destination():
            raise ValueError("The id is not one for imports of this group.")
        return self


class ImportFromUrl(ImportOptions, Command[Import]):
    """Fetch a file over HTTP or HTTPS, and import it. The file is fetched by the job.

    Raises what an upload raises, and invalid_url.
    """

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]

    def destination(self) -> str:
        return service_of_group(self.group)


class _OfImport(Message[A], Generic[A]):
    import_id: UUID

    def destination(self) -> str:
        return service_of_import(self.import_id)


class GetImport(_OfImport[Import], Query[Import]):
    """One import: its state, its counters, and what came of it. Raises import_not_found."""


class GetImportErrorFile(_OfImport[ImportFile], Query[ImportFile]):
    """Where the file with an import's refused rows is.

    Raises import_not_found, import_not_finished, import_has_no_errors.
    """


class GetImportFile(_OfImport[ImportFile], Query[ImportFile]):
    """Where the file as it came is. Raises import_not_found, import_file_not_there."""


class ListImportRemarks(_OfImport[Page[ImportRemark]], Query[Page[ImportRemark]]):
    """What was said about single rows, by row. Raises import_not_found."""

    kind: Literal["error", "notice"] = "error"
    first: First = 50
    after: str | None = None


class ListImportSamples(_OfImport[Page[ImportSample]], Query[Page[ImportSample]]):
    """Some of what a dry run would insert, update, skip and delete. Raises import_not_found."""

    kind: SampleKind | None = None
    first: First = 50
    after: str | None = None


class ListImportConflicts(_OfImport[Page[ImportConflict]], Query[Page[ImportConflict]]):
    """What the undoing of an import left as it is, and why. Raises import_not_found."""

    first: First = 50
    after: str | None = None


class ApplyImport(_OfImport[Import], Command[Import]):
    """Import the file of a dry run for real, with the same options. Answers the new import.

    Raises import_not_found, import_not_finished, not_a_dry_run.
    """


class ConfirmImport(_OfImport[Import], Command[Import]):
    """Let an import go on that was held because of what it would take away: as much as was shown, and no more.

    Should it take away more than that by now, it is held again. One of a drop folder is refused once a later file of
    that folder and group went in. Raises import_not_found, import_not_held, import_overtaken, import_file_not_there.
    """


class RerunImport(_OfImport[Import], Command[Import]):
    """Import the refused rows of an import again, and nothing else. Answers the new import.

    For rows that were right and came too early. Corrected rows are uploaded with `rerun_of`.
    Raises import_not_found, import_not_finished, import_has_no_errors.
    """


class UndoImport(_OfImport[Import], Command[Import]):
    """Take back what an import wrote, in a job. What somebody touched since stays, and is listed as a conflict.

    Raises import_not_found, import_not_finished, nothing_to_undo, import_already_undone, undo_not_supported.
    """


class ImportChanged(Event):
    """An import was started, held, confirmed or undone. `version` grows with every change of one import."""

    imported: Import
    is_held: bool
    shop_id: UUID | None
    version: int


def import_state(job: JobState, *, is_held: bool, is_undone: bool) -> ImportState:
    """What an import is, from its job and what became of it."""
    if is_undone:
        return "undone"
    return "held" if is_held and job == "succeeded" else job
