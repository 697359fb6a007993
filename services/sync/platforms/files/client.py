"""Where files lie: a folder of this machine, a web address or an SFTP server, told apart by nobody but this module."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO
from urllib.parse import quote

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Account
from services.sync.platforms.files.local import LocalFolder
from services.sync.platforms.files.places import FileGone, Folder, Seen
from services.sync.platforms.files.settings import FilesSettings
from services.sync.platforms.files.sftp import sftp_folder
from services.sync.platforms.http import Http, checked, server_time
from shared import clock


@asynccontextmanager
async def opened(settings: FilesSettings, account: Account, http: Http) -> AsyncIterator[Folder]:
    """The folder of a connection. Raises PlatformAway, CredentialsRefused, PlatformRefused."""
    if settings.is_sftp:
        async with sftp_folder(settings, account.credentials, allow_private=http.allow_private) as folder:
            yield folder
    elif settings.is_web:
        yield WebFolder(settings, account, http)
    elif account.folder is None:
        raise PlatformRefused("There is no folder for files on this machine: set CROSSDOCK_DROP_FOLDER.")
    else:
        yield LocalFolder(account.folder, settings.folder or "")


class WebFolder:
    """Files at a web address: each is fetched whole, and nothing can be listed, moved or written there."""

    is_read_only = True
    has_our_clock = True

    def __init__(self, settings: FilesSettings, account: Account, http: Http) -> None:
        self._http = http
        self._headers: dict[str, str] = {}
        if settings.user:
            pair = f"{settings.user}:{account.credentials.get('password', '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()

    async def fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        answer = await self._http.send("GET", "/" + quote(name), headers=self._headers)
        if answer.status in (404, 410):
            raise FileGone(f"There is no '{name}' at the address.")
        checked(answer)
        into.write(answer.body)
        into.flush()
        moment = server_time(answer) or clock.now()
        return Seen(name, len(answer.body), int(moment.timestamp() * 1e9))

    async def files(self, path: str) -> list[Seen]:
        return []

    async def check(self, path: str, *, is_written: bool) -> str | None:
        return "Nothing can be written to a web address." if is_written else None

    async def write_part(self, path: str, name: str, content: bytes) -> None:
        raise PlatformRefused("Nothing can be written to a web address.")

    async def finish(self, path: str, name: str) -> None:
        raise PlatformRefused("Nothing can be written to a web address.")

    async def move(self, path: str, name: str, to: str, new_name: str) -> None:
        raise PlatformRefused("Nothing can be written to a web address.")
