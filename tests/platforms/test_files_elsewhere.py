"""Files on an SFTP server and at a web address (SYN-1)."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.sync.errors import CredentialsRefused, InvalidCredentials, PlatformAway, PlatformRefused
from services.sync.platforms.base import Account, Scan, StockWrite
from services.sync.platforms.files import inbox
from services.sync.platforms.files.platform import Files
from services.sync.platforms.http import connected
from services.sync.platforms.registry import lacks_of
from shared import outgoing
from tests.fakes.files import SftpShop, table
from tests.fakes.servers import serving
from tests.platforms.conftest import Purse, all_pages, ids, session_with

pytestmark = pytest.mark.feature("SYN-1")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
WITH_PASSPHRASE = asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem", "secret words").decode()
STOCK = table([{"sku": "A", "quantity": "5"}, {"sku": "B", "quantity": "6"}, {"sku": "C", "quantity": "7"}])


@pytest.fixture
async def sftp() -> AsyncIterator[SftpShop]:
    shop = SftpShop()
    await shop.start()
    yield shop
    await shop.stop()


async def test_file_that_grows_between_two_looks_is_left_for_the_next_time(
    sftp: SftpShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's clock tells us nothing, however old a file looks."""
    sftp.lay("stock.csv", STOCK)
    waited = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            sftp.lay("stock.csv", STOCK + b"D,8\n")

    monkeypatch.setattr(inbox, "asyncio", SimpleNamespace(sleep=wait))
    sftp.settings["settle_seconds"] = 30
    async with session_with(sftp) as session:
        first = await all_pages(session, Scan("stock", SINCE))
        second = await all_pages(session, Scan("stock", SINCE))
    assert ids(first) == []
    assert ids(second) == ["main/A", "main/B", "main/C", "main/D"]
    assert waited[0] == 30


async def test_pages_of_a_file_that_is_open_need_no_connection(sftp: SftpShop) -> None:
    sftp.settings["page_size"] = 1
    sftp.lay("stock.csv", STOCK)
    async with session_with(sftp) as session:
        page = await session.page(Scan("stock"))
        made = sftp.connections
        for _ in range(2):
            page = await session.page(Scan("stock", resume=page.resume))
    assert ids([page]) == ["main/C"]
    assert sftp.connections == made


async def test_another_host_key_is_not_spoken_to(sftp: SftpShop) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    sftp.settings["host_key"] = other.export_public_key().decode().strip()
    async with session_with(sftp) as session:
        with pytest.raises(PlatformRefused, match="another key than 'host_key'"):
            await session.greet()


async def test_refused_password_is_told_apart(sftp: SftpShop) -> None:
    sftp.credentials["password"] = "wrong"
    async with session_with(sftp) as session:
        with pytest.raises(CredentialsRefused):
            await session.page(Scan("stock"))


async def test_key_lets_in_without_a_password(sftp: SftpShop) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    sftp.client_keys.append(key.convert_to_public())
    sftp.credentials = {"private_key": key.export_private_key().decode()}
    async with session_with(sftp) as session:
        assert (await session.greet()).missing == []


@pytest.mark.parametrize("credentials", [{}, {"private_key": "none"}, {"private_key": WITH_PASSPHRASE}])
async def test_credentials_that_are_none_are_refused_before_anybody_is_asked(
    sftp: SftpShop, credentials: dict[str, str]
) -> None:
    sftp.credentials = credentials
    async with session_with(sftp) as session:
        with pytest.raises(InvalidCredentials):
            await session.greet()
    assert sftp.connections == 0


async def test_server_that_is_not_there_is_away(sftp: SftpShop) -> None:
    sftp._server.close()
    await sftp._server.wait_closed()
    async with session_with(sftp) as session:
        with pytest.raises(PlatformAway):
            await session.greet()
        with pytest.raises(PlatformAway):
            await session.write_stock([StockWrite("k", "main/A", "A", "main", 1)])


async def test_server_inside_a_private_network_is_not_asked(sftp: SftpShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "settings", lambda: SimpleNamespace(fetch_private=False))
    async with connected("sftp://127.0.0.1", Purse()) as http:
        session = Files().session(Account(sftp.settings, sftp.credentials), http)
        with pytest.raises(PlatformRefused, match="private network"):
            await session.greet()
    assert sftp.connections == 0


async def test_folder_that_is_not_there_is_named_and_made_when_something_is_laid(sftp: SftpShop) -> None:
    (sftp.folder / "webshop" / "in").rmdir()
    async with session_with(sftp) as session:
        assert (await session.greet()).missing == ["There is no folder 'in' on the server yet: make it."]
        assert (await session.write_stock([StockWrite("k", "main/A", "A", "main", 1)]))[0].outcome == "ok"
    assert sftp.levels == {("A", "main"): 1}


async def test_folder_that_may_not_be_written_is_told_in_the_servers_words(sftp: SftpShop) -> None:
    (sftp.folder / "webshop" / "out").write_bytes(b"a file in the way")
    async with session_with(sftp) as session:
        assert "'out' is no folder on the server." in (await session.greet()).missing
        with pytest.raises(PlatformRefused):
            await session.write_stock([StockWrite("k", "main/A", "A", "main", 1)])


async def test_link_on_the_server_is_no_file(sftp: SftpShop) -> None:
    sftp.lay("other.csv", STOCK)
    os.symlink("other.csv", sftp.folder / "webshop" / "in" / "stock.csv")
    async with session_with(sftp) as session:
        assert ids(await all_pages(session, Scan("stock"))) == []


# --- at a web address


class Web:
    """A server that gives one file, to whoever has the name and the password."""

    def __init__(self) -> None:
        self.content = STOCK
        self.status = 200
        self.asked = 0

    async def give(self, request: Request) -> Response:
        self.asked += 1
        if request.headers.get("authorization") != "Basic dTpww6Rzcw==":
            return Response("no", 401)
        return Response(self.content, self.status)


def redirecting(target: str) -> Any:
    async def redirect(request: Request) -> Response:
        return Response("", 302, {"Location": target})

    return redirect


@pytest.fixture
async def web() -> AsyncIterator[tuple[Web, dict[str, Any]]]:
    server = Web()
    async with serving(("GET", "/export/stock file.csv", server.give)) as base:
        yield server, {"address": f"{base}/export", "user": "u", "stock": {"pattern": "stock file.csv"}, "page_size": 2}


async def fetched(settings: dict[str, Any], scan: Scan, password: str = "päss") -> Any:
    Files().check_settings(settings)
    async with connected(Files().base_url(settings), Purse(), allow_private=True) as http:
        return await Files().session(Account(settings, {"password": password}), http).page(scan)


async def test_file_is_fetched_and_goes_on_where_it_was(web: tuple[Web, dict[str, Any]]) -> None:
    _server, settings = web
    first = await fetched(settings, Scan("stock", SINCE))
    second = await fetched(settings, Scan("stock", SINCE, resume=first.resume))
    last = await fetched(settings, Scan("stock", SINCE, resume=second.resume))
    assert [ids([page]) for page in (first, second, last)] == [["main/A", "main/B"], ["main/C"], []]
    assert last.resume is None
    assert all(page.is_whole for page in (first, second, last))


async def test_file_that_became_another_is_read_from_its_beginning(web: tuple[Web, dict[str, Any]]) -> None:
    server, settings = web
    first = await fetched(settings, Scan("stock"))
    server.content = table([{"sku": "Z", "quantity": "1"}])
    assert ids([await fetched(settings, Scan("stock", resume=first.resume))]) == ["main/Z"]


@pytest.mark.feature("SYN-8")
@pytest.mark.parametrize(
    ("content", "status", "raised"),
    [
        (b"", 200, PlatformRefused),
        (b"<!doctype html><title>Sign in</title>", 200, PlatformRefused),
        (STOCK, 404, PlatformRefused),
        (STOCK, 503, PlatformAway),
        (STOCK, 302, PlatformRefused),
    ],
)
async def test_what_is_no_file_is_an_error_and_no_empty_page(
    web: tuple[Web, dict[str, Any]], content: bytes, status: int, raised: type[Exception]
) -> None:
    server, settings = web
    server.content, server.status = content, status
    with pytest.raises(raised):
        await fetched(settings, Scan("stock"))


@pytest.mark.parametrize("is_same_host", [True, False])
async def test_redirect_is_followed_and_another_host_is_told_no_password(
    web: tuple[Web, dict[str, Any]], is_same_host: bool
) -> None:
    settings = web[1]
    told: list[str | None] = []

    async def give(request: Request) -> Response:
        told.append(request.headers.get("authorization"))
        return Response(STOCK)

    async with serving(("GET", "/moved.csv", give)) as elsewhere:
        if is_same_host:
            async with serving(("GET", "/here.csv", redirecting("/moved.csv")), ("GET", "/moved.csv", give)) as base:
                settings |= {"address": base, "stock": {"pattern": "here.csv"}}
                page = await fetched(settings, Scan("stock"))
        else:
            async with serving(("GET", "/here.csv", redirecting(f"{elsewhere}/moved.csv"))) as base:
                settings |= {"address": base, "stock": {"pattern": "here.csv"}}
                page = await fetched(settings, Scan("stock"))
    assert ids([page]) == ["main/A", "main/B"]
    assert told == ["Basic dTpww6Rzcw==" if is_same_host else None]


@pytest.mark.parametrize(
    ("target", "words"), [("/here.csv", "more than 5 times"), ("file:///etc/passwd", "neither http")]
)
async def test_redirect_that_leads_nowhere_is_refused(web: tuple[Web, dict[str, Any]], target: str, words: str) -> None:
    settings = web[1]
    async with serving(("GET", "/here.csv", redirecting(target))) as base:
        settings |= {"address": base, "stock": {"pattern": "here.csv"}}
        with pytest.raises(PlatformRefused, match=words):
            await fetched(settings, Scan("stock"))


async def test_wrong_password_is_told_apart(web: tuple[Web, dict[str, Any]]) -> None:
    with pytest.raises(CredentialsRefused):
        await fetched(web[1], Scan("stock"), "wrong")


async def test_nothing_is_written_to_a_web_address_whose_feeds_say_so(web: tuple[Web, dict[str, Any]]) -> None:
    server, settings = web
    lacking = {kind for kind, words in lacks_of("files", settings).items() if "can be written" in words}
    assert lacking == {"export_stock", "export_products", "confirm_shipments"}
    server.status = 404
    async with connected(Files().base_url(settings), Purse(), allow_private=True) as http:
        session = Files().session(Account(settings, {"password": "päss"}), http)
        missing = (await session.greet()).missing
        with pytest.raises(PlatformRefused, match="Nothing can be written"):
            await session.write_stock([StockWrite("k", "main/A", "A", "main", 1)])
    assert missing[:1] == ["There is no 'stock file.csv' at the address."]
