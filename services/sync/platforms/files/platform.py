"""Files that somebody lays for us and takes from us, as a store platform."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import msgspec

from services.sync.errors import AnswerLost, PlatformAway, PlatformRefused
from services.sync.platforms.base import (
    Account,
    Outcome,
    Page,
    ProductWrite,
    Record,
    Scan,
    ShipmentWrite,
    StockWrite,
    Unread,
    Written,
)
from services.sync.platforms.files import inbox, mapping, outbox, reading
from services.sync.platforms.files.client import opened
from services.sync.platforms.files.places import FileGone, Folder, Seen
from services.sync.platforms.files.reading import Reading
from services.sync.platforms.files.settings import FILE_ENTITIES, FileEntity, files_settings
from services.sync.platforms.http import Http
from shared.contracts.sync.shapes import Entity, FeedKind, Greeting, RemotePlace

# A file may be written to between the look at it and the end of reading it; then it is looked at again.
_MOST_LOOKS = 3
# How many files of changes are looked through for records that are asked for by their ids.
_MOST_FILES = 50
_ITEMS_AT_ONCE = 1000


class Files:
    """The adapter."""

    name = "files"
    title = "Files"
    lacks: Mapping[FeedKind, str] = MappingProxyType({})
    overlap = timedelta(0)
    page_size = 5000
    credential_names: tuple[str, ...] = ("password", "private_key")
    # Whoever asks for the next page says that the file before may be archived.
    reads_ahead = False

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        files_settings(settings)

    def base_url(self, settings: Mapping[str, Any]) -> str:
        found = files_settings(settings)
        return found.address if found.address is not None else f"folder:{found.folder}"

    def session(self, account: Account, http: Http) -> "FilesSession":
        """Raises InvalidConnectionSettings."""
        return FilesSession(account, http)


class _Token(msgspec.Struct, omit_defaults=True):
    """Where a scan stands: `given` things of the file `name` with this content; `is_done`: all of them.

    `path`: the folder of the archive that it lies in; None: it is in the inbox.
    """

    name: str
    sha256: str
    given: int = 0
    is_done: bool = False
    path: str | None = None


_tokens = msgspec.json.Decoder(_Token)


class FilesSession:
    """One account. Keeps the file that it reads open between two pages; what it lacks, tokens and folders tell."""

    def __init__(self, account: Account, http: Http) -> None:
        self._account = account
        self._http = http
        self._settings = files_settings(account.settings)
        self._reading: Reading | None = None

    # --- who is there

    async def greet(self) -> Greeting:
        settings = self._settings
        async with self._folder() as folder:
            missing = await (self._missing_at_web(folder) if folder.is_read_only else self._missing_in(folder))
        return Greeting(
            shop_name=settings.address or settings.folder or "files",
            currency=settings.currency,
            places=[RemotePlace(external_id=settings.location, name=settings.location)],
            missing=missing,
        )

    async def _missing_in(self, folder: Folder) -> list[str]:
        settings = self._settings
        written = [settings.outbox, settings.archive, settings.sent]
        found = [await folder.check(path, is_written=True) for path in written]
        if any(True for _ in settings.rules()):
            # What was read is moved away from there.
            unread = await folder.check(settings.inbox, is_written=False)
            found.insert(0, unread or await folder.check(settings.inbox, is_written=True))
        return [words for words in found if words is not None]

    async def _missing_at_web(self, folder: Folder) -> list[str]:
        missing: list[str] = []
        for _, rule in self._settings.rules():
            try:
                with reading.spool() as file:
                    await folder.fetch("", rule.pattern, file)
            except FileGone as error:
                missing.append(error.detail)
        return missing

    # --- reading

    async def page(self, scan: Scan) -> Page:
        """Where a scan stands is in its token alone. The page behind a file's last one moves it to the archive.

        By then whoever asks has kept all of it; who was killed before asks once more.
        """
        entity = self._entity(scan.entity)
        token = None if scan.resume is None else _token(scan.resume)
        if token is not None and not token.is_done and self._reading is not None and _is_at(self._reading, token):
            return await self._given(entity, self._reading, token)
        async with self._folder() as folder:
            if token is not None and not token.is_done:
                return await self._continued(folder, entity, scan, token)
            if token is not None:
                await self._finish(folder, entity, token)
                if folder.is_read_only or self._settings.holds_all(entity):
                    return Page(())
            return await self._begun(folder, entity, scan)

    async def _begun(self, folder: Folder, entity: FileEntity, scan: Scan) -> Page:
        """The first page of the next file in which there is something new."""
        for _ in range(_MOST_LOOKS):
            complete = await inbox.complete_files(folder, entity, self._settings)
            if not complete:
                return await self._from_archive(folder, entity, scan)
            page = await (self._newest if self._settings.holds_all(entity) else self._oldest)(
                folder, entity, scan, complete
            )
            if page is not None:
                return page
        raise AnswerLost("The file was written to each time it was read: it is looked at again later.")

    async def _newest(self, folder: Folder, entity: FileEntity, scan: Scan, complete: Sequence[Seen]) -> Page | None:
        """Of all that there is, the newest of these files. None: it is to be looked at again."""
        seen = complete[-1]
        current = await self._read_from(folder, entity, self._settings.inbox, seen)
        if current is None:
            return None
        token = _Token(seen.name, current.sha256)
        before = await inbox.latest_read(folder, entity, self._settings)
        if before is not None:
            inbox.check_shrink(current.seen, before.seen, self._settings)
            if scan.since is not None and before.sha256 == current.sha256:
                await self._finish(folder, entity, token)
                return Page((), is_whole=False)
        return await self._given(entity, current, token)

    async def _oldest(self, folder: Folder, entity: FileEntity, scan: Scan, complete: Sequence[Seen]) -> Page | None:
        """Of changes, the oldest of these files that was not read before. None: it is to be looked at again."""
        known = {each.sha256 for each in await inbox.lately_read(folder, entity, self._settings)}
        for seen in complete:
            current = await self._read_from(folder, entity, self._settings.inbox, seen)
            if current is None:
                return None
            token = _Token(seen.name, current.sha256)
            if folder.is_read_only or current.sha256 not in known:
                return await self._given(entity, current, token)
            await self._finish(folder, entity, token)
        return Page((), is_whole=False)

    async def _from_archive(self, folder: Folder, entity: FileEntity, scan: Scan) -> Page:
        """Of all that there is a full scan reads the last file once more; else there is nothing new."""
        if scan.since is None and self._settings.holds_all(entity):
            latest = await inbox.latest_read(folder, entity, self._settings)
            if latest is not None:
                current = await self._read_from(folder, entity, latest.path, latest.seen)
                if current is not None:
                    return await self._given(
                        entity, current, _Token(latest.seen.name, current.sha256, path=latest.path)
                    )
        return Page((), is_whole=False)

    async def _continued(self, folder: Folder, entity: FileEntity, scan: Scan, token: _Token) -> Page:
        """The next page of a file; of another one from its beginning, where it was replaced or is gone."""
        path = token.path or self._settings.inbox
        current = await self._read_from(folder, entity, path, Seen(token.name, -1, -1))
        if current is None or current.sha256 != token.sha256:
            return await self._begun(folder, entity, scan)
        return await self._given(entity, current, token)

    async def _read_from(self, folder: Folder, entity: FileEntity, path: str, looked: Seen) -> Reading | None:
        """A file, opened; None where it is gone, or is not any more what was `looked` at (size -1: nobody did)."""
        file = reading.spool()
        try:
            seen = await folder.fetch(path, looked.name, file)
        except FileGone:
            if folder.is_read_only:
                raise
            return None
        if looked.size >= 0 and seen != looked:
            return None
        sha256 = await asyncio.to_thread(reading.digest_of, file)
        self._reading = await asyncio.to_thread(reading.read, file, seen, sha256, entity, self._settings)
        return self._reading

    async def _given(self, entity: FileEntity, current: Reading, token: _Token) -> Page:
        items, has_more = await asyncio.to_thread(current.take, self._settings.page_size, token.given)
        following: _Token | None = msgspec.structs.replace(token, given=token.given + len(items))
        if not has_more:
            following = None if token.path else msgspec.structs.replace(token, given=0, is_done=True)
        unread = [item for item in items if isinstance(item, Unread)]
        return Page(
            [item for item in items if isinstance(item, Record)],
            None if following is None else msgspec.json.encode(following).decode(),
            unread=unread,
            is_whole=self._settings.holds_all(entity) and all(each.external_id for each in unread),
        )

    async def _finish(self, folder: Folder, entity: FileEntity, token: _Token) -> None:
        """Move a file that was read, and what it has taken the place of, out of the way."""
        self._reading = None
        if folder.is_read_only:
            return
        if self._settings.holds_all(entity):
            await inbox.archive_older(folder, entity, self._settings, token.name)
        await inbox.archive(folder, self._settings, token.name, token.sha256)

    async def read(self, entity: Entity, external_ids: Sequence[str]) -> Sequence[Record]:
        """From the newest file of all that there is, or of the newest of changes: read before or not."""
        kind, wanted = self._entity(entity), set(external_ids)
        found: dict[str, Record] = {}
        async with self._folder() as folder:
            complete = await inbox.complete_files(folder, kind, self._settings, may_wait=False)
            places = [(self._settings.inbox, seen) for seen in reversed(complete)]
            if not folder.is_read_only:
                places += [(each.path, each.seen) for each in await inbox.lately_read(folder, kind, self._settings)]
            for path, seen in places[: 1 if self._settings.holds_all(kind) else _MOST_FILES]:
                if wanted <= found.keys():
                    break
                current = await self._read_from(folder, kind, path, seen)
                if current is not None:
                    found = await asyncio.to_thread(_those, current, wanted) | found
        self._reading = None
        return [found[each] for each in external_ids if each in found]

    # --- writing

    async def write_products(self, writes: Sequence[ProductWrite]) -> Sequence[Written]:
        """In files with the columns that the writes are about. Whoever takes them says nothing back."""
        refusals = [mapping.refusal(write, self._settings) for write in writes]
        good = [write for write, refused in zip(writes, refusals, strict=True) if refused is None]
        files = list(mapping.product_files(good, self._settings))
        names = [outbox.named("products", (part.operation_key for part in parts), content) for parts, content in files]
        laid = await self._laid([(name, content) for name, (_, content) in zip(names, files, strict=True)])
        became: dict[str, list[Written]] = {}
        for (parts, _), each in zip(files, laid, strict=True):
            for part in parts:
                became.setdefault(part.operation_key, []).append(each)
        return [
            Written("person", message=refused)
            if refused is not None
            else _product_written(write, became.get(write.operation_key, ()))
            for write, refused in zip(writes, refusals, strict=True)
        ]

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Written]:
        """In one file."""
        if not writes:
            return ()
        content = mapping.stock_file(writes)
        (laid,) = await self._laid(
            [(outbox.named("stock", (write.operation_key for write in writes), content), content)]
        )
        return [replace(laid, external_id=write.external_id) for write in writes]

    async def confirm_shipments(self, writes: Sequence[ShipmentWrite]) -> Sequence[Written]:
        """Each in a file of its own, by which it is known when it is tried again."""
        if not writes:
            return ()
        files = [(outbox.shipment_named(write.operation_key), mapping.shipment_file(write)) for write in writes]
        laid = await self._laid(files)
        return [replace(each, external_id=write.operation_key) for each, write in zip(laid, writes, strict=True)]

    async def take_image(self, product_external_id: str, url: str) -> Written:
        """A file that does not name a picture does not take it away either."""
        return Written("person", "A file can not take a picture away; do it over there.", product_external_id)

    async def _laid(self, files: Sequence[tuple[str, bytes]]) -> list[Written]:
        """What became of each file. Once one was begun, what fails is tried again, and laid once all the same."""
        if not files:
            return []
        has_begun = False
        try:
            async with self._folder() as folder:
                if folder.is_read_only:
                    raise PlatformRefused("Nothing can be written to a web address.")
                has_begun = True
                laid = await outbox.lay(folder, self._settings, files)
                return [Written("ok" if is_new else "unchanged") for is_new in laid]
        except PlatformAway as error:
            if not has_begun:
                raise
            return [Written("retry", message=error.detail)] * len(files)

    # --- where

    def _folder(self) -> AbstractAsyncContextManager[Folder]:
        return opened(self._settings, self._account, self._http)

    def _entity(self, entity: Entity) -> FileEntity:
        """Raises PlatformRefused where nothing is set up for it."""
        for each in FILE_ENTITIES:
            if each == entity and self._settings.rule(each) is not None:
                return each
        raise PlatformRefused(f"No files of this kind are set up: {entity}.")


def _token(resume: str) -> _Token:
    try:
        return _tokens.decode(resume)
    except msgspec.DecodeError:
        raise PlatformRefused("The scan can not be taken up there: begin it anew.") from None


def _is_at(current: Reading, token: _Token) -> bool:
    """Whether an open file is the one that the token is of, and not read beyond it."""
    return current.seen.name == token.name and current.sha256 == token.sha256 and current.given <= token.given


def _those(current: Reading, wanted: set[str]) -> dict[str, Record]:
    """Of a file's records those that are wanted. Raises PlatformRefused."""
    found: dict[str, Record] = {}
    given, has_more = 0, True
    while has_more and not wanted <= found.keys():
        items, has_more = current.take(_ITEMS_AT_ONCE, given)
        given += len(items)
        found.update(
            {item.external_id: item for item in items if isinstance(item, Record) and item.external_id in wanted}
        )
    return found


def _product_written(write: ProductWrite, laid: Sequence[Written]) -> Written:
    """Of several files one that is to be tried again decides, then one that is new."""
    by_outcome = {each.outcome: each for each in laid}
    if "retry" in by_outcome:
        return by_outcome["retry"]
    outcome: Outcome = "ok" if "ok" in by_outcome else "unchanged"
    parts = tuple(Written(outcome, external_id=variant.sku) for variant in write.variants)
    return Written(outcome, external_id=write.external_id or write.fields["handle"], parts=parts)
