"""A folder of an SFTP server, whose host key is known beforehand: nobody in between is spoken to."""

import asyncio
import contextlib
import posixpath
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import asyncssh

from services.sync.errors import CredentialsRefused, InvalidCredentials, PlatformAway, PlatformRefused
from services.sync.platforms.files.places import PART, FileGone, Seen, check_size, checked_name, steps_of
from services.sync.platforms.files.settings import SFTP_PORT, FilesSettings
from shared.outgoing import AddressRefused, checked_address

_CONNECT_SECONDS = 20
# For all that is done over one connection; a file of 64 MB over a slow line takes its time.
_MOST_SECONDS = 600
_PIECE = 1 << 18


@asynccontextmanager
async def sftp_folder(
    settings: FilesSettings, credentials: Mapping[str, str], *, allow_private: bool
) -> AsyncIterator["SftpFolder"]:
    """A connection for as long as the block lasts. Raises PlatformAway, CredentialsRefused, PlatformRefused."""
    assert settings.address is not None
    parts = urlsplit(settings.address)
    host, port = parts.hostname or "", parts.port or SFTP_PORT
    with _told(host):
        async with asyncio.timeout(_MOST_SECONDS), contextlib.AsyncExitStack() as stack:
            address = await checked_address(host, port, allow_private=allow_private)
            options = _options(settings, credentials)
            connection = await stack.enter_async_context(asyncssh.connect(address, port, **options))
            client = await stack.enter_async_context(connection.start_sftp_client())
            yield SftpFolder(client, unquote(parts.path).strip("/"))


def _options(settings: FilesSettings, credentials: Mapping[str, str]) -> dict[str, Any]:
    """Raises InvalidCredentials, PlatformRefused."""
    try:
        host_key = asyncssh.import_public_key(settings.host_key or "")
    except (asyncssh.KeyImportError, ValueError) as error:
        raise PlatformRefused(f"'host_key' is no public key: {error}. Take it from ssh-keyscan.") from error
    password, private_key = credentials.get("password"), credentials.get("private_key")
    if not (password or private_key):
        raise InvalidCredentials("SFTP needs a 'password' or a 'private_key'.")
    try:
        keys = [asyncssh.import_private_key(private_key)] if private_key else None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        message = f"'private_key' can not be read: {error}. It is kept sealed: give it without a passphrase."
        raise InvalidCredentials(message) from error
    return {
        "username": settings.user,
        "password": password,
        "client_keys": keys,
        "known_hosts": ([host_key], [], []),
        # Nothing of whoever runs this process: no configuration, no agent, no keys.
        "config": None,
        "agent_path": None,
        "connect_timeout": _CONNECT_SECONDS,
        "login_timeout": _CONNECT_SECONDS,
    }


class SftpFolder:
    """The folder `base` of a server, or of whom we sign in as where it is empty."""

    is_read_only = False
    has_our_clock = False

    def __init__(self, client: asyncssh.SFTPClient, base: str) -> None:
        self._client = client
        self._base = base and f"/{base}"

    async def check(self, path: str, *, is_written: bool) -> str | None:
        try:
            attributes = await self._client.stat(self._at(path))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None if is_written else f"There is no folder '{path}' on the server yet: make it."
        return None if _is(stat.S_ISDIR, attributes) else f"'{path}' is no folder on the server."

    async def files(self, path: str) -> list[Seen]:
        found = []
        try:
            async for entry in self._client.scandir(self._at(path)):
                name = entry.filename if isinstance(entry.filename, str) else entry.filename.decode(errors="replace")
                if "/" not in name and _is(stat.S_ISREG, entry.attrs):
                    found.append(_seen(name, entry.attrs))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return []
        return found

    async def fetch(self, path: str, name: str, into: BinaryIO) -> Seen:
        place = self._at(path, name)
        try:
            about = await self._client.lstat(place)
            if not _is(stat.S_ISREG, about):
                raise PlatformRefused(f"'{name}' is no file.")
            check_size(name, about.size or 0)
            async with self._client.open(place, "rb") as file:
                while piece := cast(bytes, await file.read(_PIECE)):
                    into.write(piece)
                return _seen(name, await file.stat())
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            raise FileGone(f"There is no '{name}' on the server any more.") from None

    async def write_part(self, path: str, name: str, content: bytes) -> None:
        await self._client.makedirs(self._at(path), exist_ok=True)
        async with self._client.open(self._at(path, name + PART), "wb") as file:
            await file.write(content)
            with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                await file.fsync()

    async def finish(self, path: str, name: str) -> None:
        await self._rename(self._at(path, name + PART), self._at(path, name))

    async def move(self, path: str, name: str, to: str, new_name: str) -> None:
        await self._client.makedirs(self._at(to), exist_ok=True)
        await self._rename(self._at(path, name), self._at(to, new_name))

    async def _rename(self, old: str, new: str) -> None:
        """In one step, and over what is there, where the server can; servers that can not refuse to do the second."""
        with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            try:
                await self._client.posix_rename(old, new)
            except asyncssh.SFTPOpUnsupported:
                await self._client.rename(old, new)

    def _at(self, path: str, name: str = "") -> str:
        steps = [*steps_of(path), *([checked_name(name)] if name else [])]
        return posixpath.join(self._base, *steps) or "."


def _is(kind: Any, attributes: asyncssh.SFTPAttrs) -> bool:
    return attributes.permissions is not None and kind(attributes.permissions)


def _seen(name: str, attributes: asyncssh.SFTPAttrs) -> Seen:
    return Seen(name, attributes.size or 0, (attributes.mtime or 0) * 1_000_000_000 + (attributes.mtime_ns or 0))


@contextlib.contextmanager
def _told(host: str) -> Any:
    """What asyncssh raises, in our words."""
    try:
        yield
    except asyncssh.PermissionDenied as error:
        raise CredentialsRefused(f"{host}: {error.reason}.") from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise PlatformRefused(
            f"{host} has another key than 'host_key': it was changed, or it is somebody else."
        ) from error
    except asyncssh.SFTPPermissionDenied as error:
        raise PlatformRefused(f"{host} does not allow it: {error.reason}.") from error
    except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.Error) as error:
        is_refusal = isinstance(error, asyncssh.SFTPError) and not isinstance(
            error, asyncssh.SFTPNoConnection | asyncssh.SFTPConnectionLost
        )
        raise (PlatformRefused if is_refusal else PlatformAway)(f"{host}: {error.reason}.") from error
    except AddressRefused as error:
        raise PlatformRefused(error.detail) from error
    except (TimeoutError, OSError) as error:
        raise PlatformAway(f"{host} can not be reached: {error or type(error).__name__}.") from error
