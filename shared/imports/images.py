"""Rows as they were before an import touched them, where a service keeps no history of them, and how they come back.

A group keeps an image of each thing that a portion of its file made or changed, in the step that writes it. An undo
goes through them, newest first, in steps that each forget the images they have dealt with, so that a killed one goes
on, and one that failed is asked for again. A field that is still as the import left it becomes
what it was before; any other stays and is written down as a conflict, as does a thing that the import made and others
refer to. A value that somebody changed and changed back counts as untouched.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from shared.contracts.platform.imports import ImportConflict
from shared.imports import rows as import_rows
from shared.imports.groups import Undoing
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork

CHUNK = 500
_LAST = 2**62
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """A thing by its key and name, the fields that an import changed as they were, and as it left them.

    `before` is None where the import made it, `after` where it removed it; values are those of JSON.
    """

    part: str
    key: str
    name: str
    before: Values | None
    after: Values | None


@dataclass(slots=True)
class Back:
    """What is to be done about things of one part: fields by key, keys that go, and what stays as it is."""

    restored: dict[str, dict[str, Any]] = field(default_factory=dict)
    going: list[str] = field(default_factory=list)
    conflicts: list[ImportConflict] = field(default_factory=list)


class Imaged(ABC):
    """Some things of one part, in the transaction of a step: `current` is asked first, and once."""

    @abstractmethod
    async def current(self, uow: UnitOfWork, keys: Sequence[str]) -> Mapping[str, Values]:
        """Those of these that are there, locked, with the fields of their images."""

    @abstractmethod
    async def put_back(self, uow: UnitOfWork, import_id: UUID, images: Mapping[str, Image], back: Back) -> None:
        """Carry `back` out; what a rule or somebody's reference does not allow is moved to its conflicts."""

    def touched(self, image: Image, current: Values) -> set[str]:
        """The fields of an image that are not as the import left them."""
        return {name for name, value in (image.after or {}).items() if current.get(name) != value}


async def keep(uow: UnitOfWork, import_id: UUID, images: Sequence[Image]) -> None:
    """Keep images, in the order in which they were written."""
    if not images:
        return
    await uow.execute(
        "INSERT INTO import_images (organization_id, import_id, part, key, name, before, after)"
        " SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[])",
        uow.organization_id,
        import_id,
        [image.part for image in images],
        [image.key for image in images],
        [image.name for image in images],
        [None if image.before is None else orjson.dumps(image.before).decode() for image in images],
        [orjson.dumps(image.after).decode() for image in images],
    )


async def forget(uow: UnitOfWork, part: str, key: str) -> set[str]:
    """Keep nothing of a thing any more, whatever imports touched it; returns what it was called."""
    rows = await uow.fetch("DELETE FROM import_images WHERE part = $1 AND key = $2 RETURNING name", part, key)
    return {row["name"] for row in rows}


def undoing(parts: Mapping[str, type[Imaged]]) -> Undoing:
    """How a service takes imports of these parts back."""

    async def undo(job: RunningJob, import_id: UUID) -> None:
        is_more = True
        while is_more:
            async with job.step() as uow:
                is_more = await _step(uow, job, import_id, parts)

    return undo


async def _step(uow: UnitOfWork, job: RunningJob, import_id: UUID, parts: Mapping[str, type[Imaged]]) -> bool:
    found = await uow.fetch(
        "DELETE FROM import_images i USING (SELECT number FROM import_images WHERE import_id = $1"
        " ORDER BY number DESC LIMIT $2) n WHERE i.import_id = $1 AND i.number = n.number"
        " RETURNING i.number, part, key, name, before, after",
        import_id,
        CHUNK,
    )
    images = [_image(row) for row in sorted(found, key=_number, reverse=True)]
    for part, imaged in parts.items():
        own = [image for image in images if image.part == part]
        if own:
            await _take_back(uow, job, import_id, imaged(), own)
    job.done += len(images)
    return len(images) == CHUNK


def _number(row: Any) -> int:
    number: int = row["number"]
    return number


def _image(row: Any) -> Image:
    before = None if row["before"] is None else orjson.loads(row["before"])
    return Image(row["part"], row["key"], row["name"], before, orjson.loads(row["after"]))


async def take_back(uow: UnitOfWork, import_id: UUID, imaged: Imaged, images: Sequence[Image]) -> Back:
    """Put some things of one part back to what they were; returns what became of each."""
    by_key = {image.key: image for image in images}
    current = await imaged.current(uow, list(by_key))
    back = Back()
    for key, image in by_key.items():
        _decide(imaged, image, current.get(key), back)
    await imaged.put_back(uow, import_id, by_key, back)
    return back


async def _take_back(
    uow: UnitOfWork, job: RunningJob, import_id: UUID, imaged: Imaged, images: Sequence[Image]
) -> None:
    back = await take_back(uow, import_id, imaged, images)
    await import_rows.keep_conflicts(uow, import_id, back.conflicts)
    job.count("conflicts", len(back.conflicts))
    job.count("restored", len(back.restored))
    job.count(f"{images[0].part.replace('-', '_')}_deleted", len(back.going))


def _decide(imaged: Imaged, image: Image, current: Values | None, back: Back) -> None:
    if image.after is None:
        if current is None:
            back.restored[image.key] = dict(image.before or {})
        else:
            back.conflicts.append(
                conflict(image, None, "touched_since", "Somebody made it anew since; it stays as it is.")
            )
        return
    if current is None:
        back.conflicts.append(conflict(image, None, "gone_since", "Somebody removed it since."))
        return
    touched = imaged.touched(image, current)
    if image.before is None:
        if touched:
            message = f"Somebody changed it since ({', '.join(sorted(touched))}); it stays as it is."
            back.conflicts.append(conflict(image, None, "touched_since", message))
        else:
            back.going.append(image.key)
        return
    for name in sorted(touched & image.before.keys()):
        message = "Somebody changed it since; it stays as it is."
        back.conflicts.append(conflict(image, name, "touched_since", message))
    values = {name: value for name, value in image.before.items() if name not in touched}
    if values:
        back.restored[image.key] = values


def conflict(image: Image, field_name: str | None, code: str, message: str) -> ImportConflict:
    before, after = image.before or {}, image.after or {}
    return ImportConflict(
        part=image.part,
        name=image.name,
        field=field_name,
        code=code,
        message=message,
        before=before.get(field_name) if field_name else None,
        imported=after.get(field_name) if field_name else None,
        cause=None,
        cause_id=None,
    )
