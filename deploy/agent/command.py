"""`crossdock agent`: from its options to a process that runs until it is told to end."""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

from deploy.agent.running import Agent, TokenRefused, say
from deploy.agent.source import Refused, Source

_OF_FOLDERS = {"currency", "location"}


@dataclass(frozen=True)
class Options:
    """`token` may be `@FILE`. `source`: `folder:/path`, a database's URL, or a custom server's with its token."""

    url: str
    token: str
    source: str
    queries: Path | None = None
    source_token: str = ""


def run(options: Options) -> int:
    """Returns the exit code: 0 when it was told to end, 1 when Crossdock refuses the token, 2 for a wrong option."""
    try:
        source = source_of(options)
        token = secret(options.token)
    except Refused as error:
        say(error.message)
        return 2
    try:
        asyncio.run(_run(options.url, token, source))
    except TokenRefused as error:
        say(f"Crossdock refuses the token: {error} Make another one: POST /v1/connections/ID/agent-token.")
        return 1
    return 0


async def _run(url: str, token: str, source: Source) -> None:
    stopping = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    try:
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
            await Agent(http, source, stopping).run()
    finally:
        await source.close()


def source_of(options: Options) -> Source:
    """Each kind is read from disk when it is wanted: the others' software is large. Raises Refused."""
    parts = urlsplit(options.source)
    if parts.scheme == "folder":
        from deploy.agent.folder import FolderSource

        told = dict(parse_qsl(parts.query))
        if told.keys() - _OF_FOLDERS:
            raise Refused(f"A folder is told {' and '.join(sorted(_OF_FOLDERS))} alone.")
        return FolderSource(Path(parts.path), **told)
    if parts.scheme in ("http", "https"):
        from deploy.agent.relay import RelaySource

        return RelaySource(options.source, secret(options.source_token))
    if not parts.scheme or options.queries is None:
        raise Refused("Give --source folder:/path, or a database's URL with --queries FILE, or https://…")
    from deploy.agent.database import database_at
    from deploy.agent.queries import queries_in
    from deploy.agent.sql import SqlSource

    queries = queries_in(options.queries)
    return SqlSource(database_at(options.source, queries.time_zone), queries)


def secret(text: str) -> str:
    """`@FILE` is what stands in the file. Raises Refused."""
    if not text.startswith("@"):
        return text.strip()
    try:
        return Path(os.fspath(text[1:])).read_text().strip()
    except (OSError, UnicodeError) as error:
        raise Refused(f"The file of the token can not be read: {error}") from error
