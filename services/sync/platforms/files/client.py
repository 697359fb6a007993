"""Where files lie: a folder of this machine, a web address or an SFTP server, told apart by nobody but this module."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

from services.sync.errors import PlatformRefused
from services.sync.platforms.base import Account
from services.sync.platforms.files.local import LocalFolder
from services.sync.platforms.files.places import FileGone, Folder, Seen
from services.sync.platforms.files.settings import FilesSettings
from services.sync.platforms.files.sftp import sftp_folder
from services.sync.platforms.http import Http, checked, server_time
from shared import clock
from shared.outgoing import Answer

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 6


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
        assert settings.address is not None
        self._http = http
        self._address = settings.address
        self._headers: dict[str, str] = {}
        if settings.user:
            pair = f"{settings.user}:{account.credentials.get('password', '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()

    async def fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        answer = await self._asked("/" + quote(name))
        if answer.status in (404, 410):
            raise FileGone(f"There is no '{name}' at the address.")
        checked(answer)
        into.write(answer.body)
        into.flush()
        moment = server_time(answer) or clock.now()
        return Seen(name, len(answer.body), int(moment.timestamp() * 1e9))

    async def _asked(self, path: str) -> Answer:
        """The answer behind redirects. Another host is told neither name nor password."""
        url, headers = f"{self._address}{path}", self._headers
        for _ in range(_MOST_REDIRECTS):
            answer = await self._http.send("GET", url, headers=headers)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return answer
            before, url = url, urljoin(url, answer.headers["location"])
            if not url.startswith(("https://", "http://")):
                raise PlatformRefused("The address redirects to one that is neither http nor https.")
            if urlsplit(before)[:2] != urlsplit(url)[:2]:
                headers = {}
        raise PlatformRefused(f"The address redirects more than {_MOST_REDIRECTS - 1} times.")

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
