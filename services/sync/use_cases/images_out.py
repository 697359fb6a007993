"""Pictures go out where they are ours: each is uploaded once, and taken away only when a person has said so (SYN-8).

What is to be there is said in the platform's own addresses, where it has the picture: found by address, and before
anything is written by the hash of the bytes. A picture that was ours once and is so no longer is proposed to be taken
away, by a change of its own that waits for a person; what the platform has by itself is left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.errors import AnswerNotUnderstood, PlatformAway, PlatformRefused
from services.sync.platforms.base import ProductWrite, Written
from services.sync.repository import changes, listings
from services.sync.repository.changes import Found
from services.sync.use_cases.executing import Run
from services.sync.use_cases.outgoing_images import Beside, Image, are_same, paired, plain
from services.sync.use_cases.sending import Queued
from shared.unit_of_work import UnitOfWork

IMAGES = "images"
# A change that takes one picture away has its address behind this.
TAKE_AWAY = "image:"
# As large a picture is fetched to be compared by its bytes (Shopify takes no larger ones).
_MOST_BYTES = 20 << 20


def proposed(row: asyncpg.Record, found: Beside) -> list[Found]:
    """Pictures that are ours no longer, each to be taken away when a person has approved it."""
    return [
        Found(row["id"], "product", "out", "delete", f"{TAKE_AWAY}{image['url']}", image, None, "review", "not_ours")
        for image in found.left_over
    ]


async def settle_proposals(
    uow: UnitOfWork, rows: Sequence[asyncpg.Record], proposals: Sequence[Found], pictures: Mapping[UUID, dict[str, str]]
) -> None:
    """Keep which picture is which; a picture that is ours again, or gone there, is no longer to be taken away."""
    await listings.note_pictures(uow, pictures)
    wanted = {(each.listing_id, each.field) for each in proposals}
    waiting = [
        (each["listing_id"], each["field"])
        for each in await changes.list_open(uow, [row["id"] for row in rows], "out")
        if each["field"].startswith(TAKE_AWAY) and (each["listing_id"], each["field"]) not in wanted
    ]
    if waiting:
        await changes.call_off(uow, "out", waiting, "agreed")


# --- putting them there


async def prepared(run: Run, queued: Queued, write: ProductWrite) -> ProductWrite:
    """A write that names pictures the platform has already by the platform's own addresses, known by their bytes."""
    there: list[Image] = write.expected.get(IMAGES) or []
    wanted: list[Image] = write.fields[IMAGES] or []
    addresses = {image["url"] for image in there}
    ours = [image for image in wanted if image["url"] not in addresses]
    known = set(_pictures(queued.row).values())
    theirs = [image for image in there if image["url"] not in known]
    if not ours or not theirs:
        return write
    by_hash = {await _hash(run, image["url"]): image["url"] for image in theirs}
    by_hash.pop(None, None)
    same = {image["url"]: by_hash.get(await _hash(run, image["url"])) for image in ours} if by_hash else {}
    images: dict[str, Image] = {}
    for image in wanted:
        url = same.get(image["url"]) or image["url"]
        images.setdefault(url, {**image, "url": url})
    await _note(run, queued.row, {ours_: theirs_ for ours_, theirs_ in same.items() if theirs_})
    return replace(write, fields={**write.fields, IMAGES: list(images.values())})


def is_there(write: ProductWrite) -> bool:
    """Whether nothing but pictures is to be written, and all of them are there as they are to be."""
    there = write.expected.get(IMAGES) or []
    return set(write.fields) == {IMAGES} and are_same(write.fields[IMAGES], there)


async def noted(run: Run, queued: Queued, write: ProductWrite, answer: Written) -> Written:
    """The answer with the pictures that the platform has now, whose addresses are kept beside ours."""
    if answer.outcome not in ("ok", "unchanged"):
        return answer
    images: list[Image] = answer.fields.get(IMAGES, write.fields[IMAGES]) or []
    await _note(run, queued.row, paired(write.fields[IMAGES], images))
    return replace(answer, fields={**answer.fields, IMAGES: images})


async def _note(run: Run, row: asyncpg.Record, pairs: Mapping[str, str]) -> None:
    """Ours with theirs; what was written under an address of theirs is ours by the one it is known by."""
    known = _pictures(row)
    by_theirs = {theirs: ours for ours, theirs in known.items()}
    added = {by_theirs.get(one, one): other for one, other in pairs.items()}
    async with run.job.step() as uow:
        await listings.note_pictures(uow, {row["id"]: known | added}, is_whole=False)


def _pictures(row: asyncpg.Record) -> dict[str, str]:
    pictures: dict[str, str] = orjson.loads(row["pictures"])
    return pictures


async def _hash(run: Run, url: str) -> str | None:
    """The SHA-256 of a picture's bytes; None where it can not be fetched: then its address has to do."""
    if not url.startswith(("http://", "https://")):
        return None
    await run.go_on()
    try:
        answer = await run.http.send("GET", url, points=0, most_bytes=_MOST_BYTES)
    except (PlatformAway, PlatformRefused, AnswerNotUnderstood):
        return None
    return sha256(answer.body).hexdigest() if answer.status == 200 else None


# --- taking one away


async def take_away(run: Run, batch: Sequence[Queued]) -> Sequence[Written]:
    """Take away what was approved, picture by picture; the first that is not taken says what became of the product."""
    written = []
    for queued in batch:
        answer = Written("unchanged", external_id=queued.row["external_id"])
        for change in queued.changes:
            if change["decided_by"] is None or answer.outcome not in ("ok", "unchanged"):
                continue
            await run.go_on()
            address = change["field"].removeprefix(TAKE_AWAY)
            answer = await run.session.take_image(queued.row["external_id"], address)
        written.append(replace(answer, external_id=queued.row["external_id"]))
    return written


async def settle(uow: UnitOfWork, queued: Queued, _answer: Written) -> None:
    """They are no longer there, and not ours either."""
    gone = {plain(change["field"].removeprefix(TAKE_AWAY)) for change in queued.changes}
    images: list[dict[str, Any]] = orjson.loads(queued.row["acknowledged"] or "{}").get(IMAGES) or []
    left = [image for image in images if plain(image["url"]) not in gone]
    await listings.acknowledge(uow, {queued.row["id"]: {IMAGES: left}})
    known = {ours: theirs for ours, theirs in _pictures(queued.row).items() if plain(theirs) not in gone}
    await listings.note_pictures(uow, {queued.row["id"]: known})
