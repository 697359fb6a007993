"""Records out of rows under headings, as files have them: the headings are those of the platform `files`."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from deploy.agent.source import Item, Refused
from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Record, Unread
from services.sync.platforms.files import reading
from services.sync.platforms.files.places import Seen
from services.sync.platforms.files.reading import Reading
from services.sync.platforms.files.settings import FileEntity, FilesSettings, files_settings

# The lists of the protocol, and what a record of each is.
ENTITIES: dict[str, FileEntity] = dict(
    zip(("products", "stock", "orders", "suppliers", "supplier-links"), get_args(FileEntity), strict=True)
)
_AT_ONCE = 1000


def rules(currency: str, location: str) -> FilesSettings:
    """How rows are read: prices in `currency`, stock levels that name no place at `location`. Raises Refused."""
    patterns = {name.replace("-", "_"): {"pattern": f"{name}.csv"} for name in ENTITIES}
    try:
        return files_settings({"folder": "in", "currency": currency, "location": location, **patterns})
    except PlatformRefused as error:
        raise Refused(error.detail) from error


def opened(path: Path, name: str, settings: FilesSettings, modified_ns: int) -> Reading:
    """A file that nobody writes to, as a list of records. Raises Refused for one that is none."""
    file = reading.spool()
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while part := content.read(1 << 20):
            digest.update(part)
            file.write(part)
    file.flush()
    try:
        seen = Seen(path.name, file.tell(), modified_ns)
        return reading.read(file, seen, digest.hexdigest(), ENTITIES[name], settings)
    except PlatformRefused as error:
        raise Refused(error.detail) from error


def some(opened_file: Reading, count: int, given: int) -> tuple[list[Record | Unread], bool]:
    """The next `count` things behind the first `given`, and whether there are more. Raises Refused."""
    try:
        return opened_file.take(count, given)
    except PlatformRefused as error:
        raise Refused(error.detail) from error


def all_of(opened_file: Reading) -> Iterator[Record | Unread]:
    """Everything, of a file that nobody has read of. Raises Refused."""
    given, has_more = 0, True
    while has_more:
        things, has_more = some(opened_file, _AT_ONCE, given)
        given += len(things)
        yield from things


def listed(things: Sequence[Record | Unread], following: str | None = None) -> Item:
    """A page, as the protocol has it."""
    records = [_item(thing) for thing in things if isinstance(thing, Record)]
    unread = [{"id": thing.external_id, "message": thing.message} for thing in things if isinstance(thing, Unread)]
    return {"items": records, "next": following, "unread": unread}


def _item(record: Record) -> Item:
    item: dict[str, Any] = {**record.fields, "id": record.external_id}
    if record.updated_at is not None:
        item["updated_at"] = record.updated_at.isoformat()
    if record.parts:
        item["variants"] = [{**part.fields, "id": part.external_id} for part in record.parts]
    return item
