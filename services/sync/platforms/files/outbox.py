"""Files that we lay: each once however often it is tried, whole or not at all.

1. the file under its name with `.part` behind it, 2. a copy among what was sent, 3. the file gets its name. A try that
finds the copy and no part has been here before; one that finds both goes on with the third step. Copies are kept by
month, and those of this month and the last are looked through.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import timedelta

from services.sync.platforms.files.places import PART, Folder
from services.sync.platforms.files.settings import FilesSettings
from shared import clock

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def named(kind: str, operation_keys: Iterable[str], content: bytes) -> str:
    """The end of a file's name, the same for the same writes: `-stock-3f….csv`. Before it stands a time."""
    digest = hashlib.sha256("\x1f".join(operation_keys).encode() + b"\x1e" + content).hexdigest()
    return f"-{kind}-{digest[:32]}.csv"


def shipment_named(operation_key: str) -> str:
    """As `named`, of a shipment: whatever it says, it is told once."""
    readable = _UNSAFE.sub("-", operation_key)[:40]
    return f"-shipment-{readable}-{hashlib.sha256(operation_key.encode()).hexdigest()[:16]}.csv"


async def lay(folder: Folder, settings: FilesSettings, files: Iterable[tuple[str, bytes]]) -> list[bool]:
    """Lay files, by what their names end with. Whether each was new. Their names sort in the order they were laid."""
    files = list(files)
    now = clock.now()
    month = f"{settings.sent}/{now:%Y-%m}"
    before = f"{settings.sent}/{now.replace(day=1) - timedelta(days=1):%Y-%m}"
    sent = {_end(seen.name): seen.name for path in (before, month) for seen in await folder.files(path)}
    parts = {seen.name for seen in await folder.files(settings.outbox) if seen.name.endswith(PART)}
    new = []
    for end, content in files:
        name = sent.get(end)
        new.append(name is None or name + PART in parts)
        if name is None:
            name = f"{clock.now():%Y%m%dT%H%M%S%fZ}{end}"
            sent[end] = name
            await folder.write_part(settings.outbox, name, content)
            await folder.write_part(month, name, content)
            await folder.finish(month, name)
            await folder.finish(settings.outbox, name)
        elif name + PART in parts:
            await folder.finish(settings.outbox, name)
    return new


def _end(name: str) -> str:
    return name[name.find("-") :]
