"""The custom protocol's own rules, against its reference server (SYN-1, SYN-4, SYN-12, SYN-14)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from services.sync.errors import (
    CredentialsRefused,
    InvalidConnectionSettings,
    InvalidCredentials,
    PlatformAway,
    PlatformRefused,
)
from services.sync.platforms.base import Account, Scan, StockWrite
from services.sync.platforms.custom.platform import Custom
from services.sync.platforms.custom.webhooks import is_genuine, knock
from services.sync.platforms.http import Http, connected
from shared import clock, outgoing
from tests.fakes.custom import SIGNING_SECRET, CustomShop
from tests.fakes.shop_server import RETRY_AFTER_SECONDS
from tests.platforms.conftest import Purse, all_pages, all_records, ids, order, product, put_products, session_with


@pytest.fixture
async def custom() -> AsyncIterator[CustomShop]:
    shop = CustomShop()
    await shop.start()
    yield shop
    await shop.stop()


@pytest.mark.feature("SYN-4")
async def test_scan_goes_from_since_to_until(custom: CustomShop) -> None:
    put_products(custom, 6)
    times = [custom.kept["products"][str(n)].updated_at for n in range(1, 7)]
    async with session_with(custom) as session:
        pages = await all_pages(session, Scan("product", times[1], times[4]))
    assert ids(pages) == ["2", "3", "4"]


@pytest.mark.feature("SYN-4")
async def test_full_scan_gives_records_that_move_past_its_end_while_it_runs(custom: CustomShop) -> None:
    """A full scan decides what has vanished: until nobody may be missing who only changed meanwhile."""
    there = put_products(custom, 9)
    custom.drifts = 4
    async with session_with(custom) as session:
        pages = await all_pages(session, Scan("product", until=datetime.now(UTC)))
    assert set(ids(pages)) == set(there)
    assert len(ids(pages)) > len(there)


@pytest.mark.feature("SYN-4")
async def test_stock_whose_time_does_not_move_is_read_whole_when_the_connection_says_so(custom: CustomShop) -> None:
    """platforms.md §0.1: a time that does not move with a sale is no clock."""
    custom.silent_stock = True
    custom.put_stock("A", "main", 5)
    since = datetime.now(UTC) + timedelta(seconds=1)
    custom.put_stock("A", "main", 4)
    async with session_with(custom) as session:
        assert ids(await all_pages(session, Scan("stock", since))) == []
    custom.settings["full_scans"] = ["stock"]
    async with session_with(custom) as session:
        records = [record for page in await all_pages(session, Scan("stock", since)) for record in page.records]
    assert [record.fields["quantity"] for record in records] == [4]


@pytest.mark.feature("SYN-7")
async def test_shop_that_moves_its_time_for_nothing_shows_the_same_content(custom: CustomShop) -> None:
    """platforms.md §0.3."""
    custom.touchy = True
    custom.put_stock("A", "main", 5)
    async with session_with(custom) as session:
        before = (await all_records(session, "stock"))["main/A"]
        written = await session.write_stock([StockWrite("k", "main/A", "A", "main", 5, 5)])
        after = (await all_records(session, "stock"))["main/A"]
    assert written[0].outcome == "ok"
    assert after.updated_at != before.updated_at
    assert after.fields == before.fields


@pytest.mark.feature("SYN-2")
async def test_suppliers_and_what_they_supply_are_read(custom: CustomShop) -> None:
    custom.put_supplier("s1", {"name": "Skerry Looms", "email": "", "phone": None})
    cost = {"amount": 800, "currency": "EUR"}
    custom.put_supplier_link("s1/A", {"sku": "A", "supplier": "s1", "vendor_sku": "SK-9", "cost": cost})
    async with session_with(custom) as session:
        supplier = (await all_records(session, "supplier"))["s1"]
        link = (await all_records(session, "supplier_link"))["s1/A"]
    assert supplier.fields == {"name": "Skerry Looms", "email": None, "phone": None}
    assert link.fields == {"sku": "A", "supplier": "s1", "vendor_sku": "SK-9", "cost": cost}


async def test_many_ids_are_asked_for_in_requests_that_servers_take(custom: CustomShop) -> None:
    wanted = [f"käse/{n}&id=7?#{'x' * 80}" for n in range(150)]
    for external_id in wanted:
        custom.put_product(external_id, {"title": external_id}, {})
    async with session_with(custom) as session:
        records = await session.read("product", [*wanted, "gone"])
    assert [record.external_id for record in records] == wanted
    assert all(record.fields["title"] == record.external_id for record in records)
    assert max(map(len, custom.requests)) < 8000
    assert len(custom.requests) > 1


async def test_rights_that_the_token_lacks_are_named(custom: CustomShop) -> None:
    custom.rights.remove("write:stock")
    async with session_with(custom) as session:
        greeting = await session.greet()
    assert greeting.missing == ["write:stock"]
    assert (greeting.shop_name, greeting.currency, greeting.time_zone) == ("Shop on the quay", "EUR", "Europe/Berlin")
    assert [place.external_id for place in greeting.places] == ["main"]


@pytest.mark.feature("SYN-11")
async def test_problem_is_told_in_the_servers_own_words(custom: CustomShop) -> None:
    async with session_with(custom) as session:
        with pytest.raises(PlatformRefused) as raised:
            await session.page(Scan("product", resume="forged"))
    assert raised.value.detail == "400 'after' is none of ours."


@pytest.mark.feature("SYN-12")
async def test_what_is_left_of_the_budget_is_learned_and_a_throttled_one_rests(custom: CustomShop) -> None:
    custom.budget = (120, 60, 42)
    purse = Purse()
    async with session_with(custom, purse) as session:
        await session.greet()
        custom.faults.throttle = 1
        with pytest.raises(PlatformAway):
            await session.greet()
    assert purse.learned == [(42.0, 2.0, 120.0)]
    assert purse.rested == [RETRY_AFTER_SECONDS]
    assert purse.spent == 2


@pytest.mark.feature("SYN-12")
@pytest.mark.parametrize("budget", [(0, 60, 0), (100, 0, 5)])
async def test_budget_that_says_nothing_is_not_learned(custom: CustomShop, budget: tuple[int, int, int]) -> None:
    custom.budget = budget
    purse = Purse()
    async with session_with(custom, purse) as session:
        await session.greet()
    assert purse.learned == []


async def test_server_error_after_which_nobody_knows_is_tried_again_with_the_same_key(custom: CustomShop) -> None:
    """PROTOCOL.md, "Errors": with 503 nothing was done, so that the engine may wait; a page of HTML says nothing."""
    custom.put_stock("A", "main", 5)
    write = StockWrite("k", "main/A", "A", "main", 3, 5)
    async with session_with(custom) as session:
        custom.faults.away = 1
        with pytest.raises(PlatformAway):
            await session.write_stock([write])
        custom.faults.html = 1
        unclear = await session.write_stock([write])
        custom.faults.lost = 1
        lost = await session.write_stock([write])
        again = await session.write_stock([write])
    assert [each[0].outcome for each in (unclear, lost, again)] == ["retry", "retry", "ok"]
    assert custom.stock("A", "main") == 3


async def test_signed_requests_are_taken_and_others_refused(custom: CustomShop) -> None:
    custom.is_strict = True
    put_products(custom, 4)
    custom.put_stock("A", "main", 5)
    async with session_with(custom) as session:
        with pytest.raises(CredentialsRefused):
            await session.greet()
    custom.credentials["signing_secret"] = SIGNING_SECRET
    async with session_with(custom) as session:
        await session.greet()
        assert len(ids(await all_pages(session, Scan("product", datetime(2026, 1, 1, tzinfo=UTC))))) == 4
        assert len(await session.read("product", ["1", "ü&x"])) == 1
        written = await session.write_stock([StockWrite("k", "main/A", "A", "main", 3, 5)])
    assert written[0].outcome == "ok"


@pytest.mark.parametrize("path", ["/shop", "/a b/ü".replace(" ", "%20").replace("ü", "%C3%BC")])
async def test_base_address_may_have_a_path(custom: CustomShop, path: str) -> None:
    platform = Custom()
    settings = {"url": f"{custom.settings['url']}{path}/"}
    assert platform.base_url(settings) == f"{custom.settings['url']}{path}"
    async with connected(platform.base_url(settings), Purse(), allow_private=True) as http:
        with pytest.raises(PlatformRefused):
            await platform.session(Account(settings, custom.credentials), http).greet()


@pytest.mark.feature("SYN-6")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "url: Field required"),
        ({"url": "ftp://shop.example"}, "url: give the address"),
        ({"url": "https://"}, "url: give the address"),
        ({"url": "https://shop.example:99999"}, "url: give the address"),
        ({"url": "https://a:b@shop.example"}, "no password in it"),
        ({"url": "https://shop.example?a=1"}, "no query"),
        ({"url": 5}, "url: Input should be a valid string"),
        ({"url": "https://shop.example", "page_size": 0}, "page_size: "),
        ({"url": "https://shop.example", "page_size": 5000}, "page_size: "),
        ({"url": "https://shop.example", "full_scans": ["weather"]}, "full_scans.0: "),
        ({"url": "https://shop.example", "color": "red"}, "color: "),
    ],
)
def test_settings_that_can_not_work_are_refused_by_name(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidConnectionSettings) as raised:
        Custom().check_settings(settings)
    assert words in raised.value.detail


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"token": ""},
        {"token": "a\r\nX-Evil: 1"},
        {"token": "schlüssel"},
        {"token": "x" * 5000},
    ],
)
async def test_token_that_no_header_carries_is_refused(custom: CustomShop, credentials: dict[str, str]) -> None:
    async with connected(custom.settings["url"], Purse(), allow_private=True) as http:
        with pytest.raises(InvalidCredentials):
            Custom().session(Account(custom.settings, credentials), http)


@pytest.mark.parametrize("secret", ["secret", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 400])
async def test_signing_secret_that_is_none_is_refused(custom: CustomShop, secret: str) -> None:
    custom.credentials["signing_secret"] = secret
    with pytest.raises(InvalidCredentials):
        async with session_with(custom) as session:
            await session.greet()


async def test_server_inside_a_private_network_is_not_asked(
    custom: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "settings", lambda: SimpleNamespace(fetch_private=False))
    async with connected(custom.settings["url"], Purse()) as http:
        session = Custom().session(Account(custom.settings, custom.credentials), http)
        with pytest.raises(PlatformRefused, match="private network"):
            await session.greet()
    assert custom.requests == []


async def test_another_method_is_never_sent(custom: CustomShop) -> None:
    async with connected(custom.settings["url"], Purse(), allow_private=True) as http:
        assert isinstance(http, Http)
        with pytest.raises(ValueError, match="not sent"):
            await http.send("DELETE", "/products")
    assert custom.requests == []


@pytest.mark.feature("SYN-8")
async def test_one_picture_is_taken_away_by_a_signed_request_and_no_other(custom: CustomShop) -> None:
    first, second = "https://images.example/a b.png?size=1&v=2", "https://images.example/c.png"
    custom.put_product(*product(1, images=[{"url": first, "alt": None}, {"url": second, "alt": None}]))
    custom.credentials |= {"signing_secret": SIGNING_SECRET}
    custom.is_strict = True
    async with session_with(custom) as session:
        assert (await session.take_image("1", first)).outcome == "ok"
        assert (await session.take_image("1", first)).outcome == "unchanged"
        assert (await session.take_image("2", second)).outcome == "unchanged"
        custom.keeps_images = True
        assert (await session.take_image("1", second)).outcome == "person"
    assert custom.product("1")[0]["images"] == [{"url": second, "alt": None}]


# --- webhooks


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize(
    ("kind", "feed"),
    [
        ("products.changed", "update_products"),
        ("stock.changed", "check_stock"),
        ("orders.changed", "import_orders"),
        ("suppliers.changed", "import_suppliers"),
        ("supplier-links.changed", "import_supplier_links"),
    ],
)
def test_genuine_webhook_wakes_feeds(kind: str, feed: str) -> None:
    headers, body = CustomShop().webhook(kind, "evt_9")
    assert is_genuine(body, headers, SIGNING_SECRET, clock.now())
    told = knock(body, headers)
    assert told.event_id == "evt_9"
    assert feed in told.feeds


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers, body: (headers, body + b" "),
        lambda headers, body: ({**headers, "webhook-id": "evt_2"}, body),
        lambda headers, body: ({**headers, "webhook-timestamp": "1"}, body),
        lambda headers, body: ({**headers, "webhook-timestamp": "²"}, body),
        lambda headers, body: ({**headers, "webhook-timestamp": "9" * 400}, body),
        lambda headers, body: ({**headers, "webhook-signature": "v1,"}, body),
        lambda headers, body: ({**headers, "webhook-signature": "v1,ü\ud800"}, body),
        lambda headers, body: (
            {**headers, "webhook-signature": headers["webhook-signature"].replace("v1", "v2")},
            body,
        ),
        lambda headers, body: ({}, body),
    ],
)
def test_webhook_that_anybody_touched_is_not_genuine(spoil: object) -> None:
    headers, body = spoil(*CustomShop().webhook("orders.changed"))  # type: ignore[operator]
    assert not is_genuine(body, headers, SIGNING_SECRET, clock.now())


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize(("minutes", "is_taken"), [(-4, True), (4, True), (-6, False), (6, False)])
def test_webhook_is_good_for_five_minutes(minutes: int, is_taken: bool) -> None:
    headers, body = CustomShop().webhook("orders.changed", sent_at=clock.now() + timedelta(minutes=minutes))
    assert is_genuine(body, headers, SIGNING_SECRET, clock.now()) is is_taken


@pytest.mark.feature("SYN-14")
def test_one_of_several_signatures_is_enough() -> None:
    headers, body = CustomShop().webhook("orders.changed")
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    assert is_genuine(body, headers, SIGNING_SECRET, clock.now())


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize("secret", ["", "whsec_", "another"])
def test_without_a_good_secret_nothing_is_genuine(secret: str) -> None:
    headers, body = CustomShop().webhook("orders.changed")
    assert not is_genuine(body, headers, secret, clock.now())


@pytest.mark.feature("SYN-14")
@pytest.mark.parametrize("body", [b"", b"{}", b'{"type": "weather.changed"}', b"[" * 100_000, b"\xff", b'{"type": 5}'])
def test_webhook_of_which_nothing_is_understood_wakes_nobody(body: bytes) -> None:
    assert knock(body, {"webhook-id": "evt_1"}).feeds == ()


@pytest.mark.feature("SYN-10")
async def test_two_requests_with_one_key_are_done_once(custom: CustomShop) -> None:
    """The reference server does as PROTOCOL.md says, so that it may be copied."""
    custom.put_product(*product(1))
    custom.put_order(order(5001))
    custom.put_stock("A", "main", 5)
    async with session_with(custom) as session:
        first = await session.write_stock([StockWrite("k", "main/A", "A", "main", 3)])
        custom.put_stock("A", "main", 9)
        second = await session.write_stock([StockWrite("k", "main/A", "A", "main", 3)])
    assert [first[0].outcome, second[0].outcome] == ["ok", "ok"]
    assert second[0].fields == {"quantity": 9}
    assert custom.stock("A", "main") == 9
