"""The file exchange: when a file is taken, which, how often, and that nothing leaves the folder (SYN-1)."""

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.sync.errors import InvalidConnectionSettings, PlatformRefused
from services.sync.platforms.base import Account, ProductWrite, Scan, ShipmentWrite, StockWrite, VariantWrite
from services.sync.platforms.files.local import LocalFolder
from services.sync.platforms.files.outbox import lay
from services.sync.platforms.files.places import MOST_BYTES
from services.sync.platforms.files.platform import Files
from services.sync.platforms.files.settings import files_settings
from services.sync.platforms.http import connected
from services.sync.platforms.registry import lacks_of
from tests.fakes.files import FilesShop, table
from tests.platforms.conftest import Purse, all_pages, all_records, ids, order, put_products, session_with

pytestmark = pytest.mark.feature("SYN-1")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def files() -> AsyncIterator[FilesShop]:
    shop = FilesShop()
    await shop.start()
    yield shop
    await shop.stop()


def stock(**quantities: int) -> bytes:
    return table([{"sku": sku, "quantity": str(quantity)} for sku, quantity in quantities.items()])


def order_file(number: int) -> bytes:
    """A file of one order."""
    return table(FilesShop().order_rows(order(number)))


async def scanned(shop: FilesShop, entity: Any, since: datetime | None = SINCE) -> dict[str, Any]:
    async with session_with(shop) as session:
        pages = await all_pages(session, Scan(entity, since))
    return {record.external_id: record.fields for page in pages for record in page.records}


# --- when a file is taken


async def test_file_that_is_still_written_to_is_left_alone(files: FilesShop) -> None:
    files.settings["settle_seconds"] = 300
    files.lay("stock.csv", stock(A=5), is_settled=False)
    assert await scanned(files, "stock") == {}
    assert files.there("in") == ["stock.csv"]


async def test_file_with_its_mark_is_complete_at_once_and_both_are_archived(files: FilesShop) -> None:
    files.settings |= {"settle_seconds": 300, "needs_done": True}
    files.lay("stock.csv", stock(A=5), is_settled=False)
    files.lay("stock-2.csv", stock(B=5))
    files.lay("stock.csv.done", b"", is_settled=False)
    assert list(await scanned(files, "stock")) == ["main/A"]
    assert files.there("in") == ["stock-2.csv"]
    assert [name.rpartition("-")[2] for name in files.there("archive")] == ["stock.csv", "stock.csv.done"]


async def test_file_that_changes_while_it_is_read_is_read_again(
    files: FilesShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two looks is after reading: it must find what the first has found."""
    files.lay("stock.csv", stock(A=5))
    fetch, fetched = LocalFolder._fetch, []

    def fetch_and_write(self: LocalFolder, path: str, name: str, into: Any) -> Any:
        if not fetched:
            files.lay("stock.csv", stock(A=5, B=7))
        fetched.append(name)
        return fetch(self, path, name, into)

    monkeypatch.setattr(LocalFolder, "_fetch", fetch_and_write)
    assert list(await scanned(files, "stock")) == ["main/A", "main/B"]
    assert len(fetched) == 2


async def test_file_with_a_time_that_is_still_to_come_is_looked_at_twice(files: FilesShop) -> None:
    files.settings["settle_seconds"] = 0
    path = files.lay("stock.csv", stock(A=5))
    os.utime(path, ns=(time.time_ns() + 10**15,) * 2)
    assert list(await scanned(files, "stock")) == ["main/A"]


@pytest.mark.parametrize(
    "name", ["stock.csv.part", "stock.csv.tmp", ".stock.csv", "stock.csv~", "prices.csv", "stock.csv.filepart"]
)
async def test_other_names_are_no_files_of_stock(files: FilesShop, name: str) -> None:
    files.settings["stock"] = {"pattern": "stock*"}
    files.lay(name, stock(A=5))
    assert await scanned(files, "stock") == {}
    assert files.there("in") == [name]


# --- which file, and how often


async def test_newest_file_says_all_and_older_ones_are_archived_unread(files: FilesShop) -> None:
    files.lay("stock-1.csv", stock(A=1, B=1))
    files.lay("stock-2.csv", stock(A=2))
    assert await scanned(files, "stock", None) == {"main/A": {"sku": "A", "location": "main", "quantity": 2}}
    assert files.there("in") == []
    assert len([name for name in files.there("archive") if "not-read" in name]) == 1


async def test_time_in_the_name_goes_before_the_age_of_the_file(files: FilesShop) -> None:
    files.lay("stock-20261130-1800.csv", stock(A=18))
    files.lay("stock-20261130-0900.csv", stock(A=9))
    assert (await scanned(files, "stock"))["main/A"]["quantity"] == 18


@pytest.mark.feature("SYN-4")
async def test_same_content_again_is_nothing_new(files: FilesShop) -> None:
    files.lay("stock-1.csv", stock(A=1))
    assert len(await scanned(files, "stock")) == 1
    files.lay("stock-2.csv", stock(A=1))
    assert await scanned(files, "stock") == {}
    assert files.there("in") == []


@pytest.mark.feature("SYN-4")
async def test_content_of_the_day_before_yesterday_is_news_again(files: FilesShop) -> None:
    """A file of all that there is undoes the one before it, also when it was seen earlier."""
    for quantity in (1, 2, 1):
        files.lay("stock.csv", stock(A=quantity))
        assert (await scanned(files, "stock"))["main/A"]["quantity"] == quantity


@pytest.mark.feature("SYN-8")
async def test_full_scan_without_a_new_file_reads_the_last_one_and_is_whole(files: FilesShop) -> None:
    put_products(files, 7)
    async with session_with(files) as session:
        first = await all_pages(session, Scan("product"))
        again = await all_pages(session, Scan("product"))
        nothing = await all_pages(session, Scan("product", SINCE))
    assert ids(first) == ids(again) == [str(n) for n in range(1, 8)]
    assert all(page.is_whole for page in (*first, *again))
    assert [(list(page.records), page.is_whole) for page in nothing] == [([], False)]


@pytest.mark.feature("SYN-8")
async def test_no_file_at_all_says_nothing_of_what_there_is(files: FilesShop) -> None:
    async with session_with(files) as session:
        page = await session.page(Scan("product"))
    assert not page.is_whole


async def test_files_of_changes_are_read_each_once_oldest_first(files: FilesShop) -> None:
    files.settings["page_size"] = 1
    for number in (1, 2, 3):
        files.put_order(order(number))
    async with session_with(files) as session:
        pages = await all_pages(session, Scan("order"))
        files.put_order(order(2))
        again = await all_pages(session, Scan("order"))
    assert ids(pages) == ["1", "2", "3"]
    assert not any(page.is_whole for page in pages)
    assert ids(again) == []
    assert files.there("in") == []


@pytest.mark.feature("SYN-10")
async def test_scan_that_was_killed_behind_its_last_page_archives_when_it_goes_on(files: FilesShop) -> None:
    files.lay("stock.csv", stock(A=1))
    async with session_with(files) as session:
        page = await session.page(Scan("stock", SINCE))
    assert page.resume is not None
    assert files.there("in") == ["stock.csv"]
    for _ in range(2):
        async with session_with(files) as session:
            last = await session.page(Scan("stock", SINCE, resume=page.resume))
        assert (list(last.records), last.resume) == ([], None)
    assert files.there("in") == []
    assert len(files.there("archive")) == 1


@pytest.mark.feature("SYN-10")
async def test_file_that_was_replaced_in_the_middle_is_read_from_its_beginning(files: FilesShop) -> None:
    files.settings["page_size"] = 2
    files.lay("stock.csv", stock(A=1, B=1, C=1))
    async with session_with(files) as session:
        first = await session.page(Scan("stock"))
    files.lay("stock.csv", stock(D=4, A=4, B=4))
    async with session_with(files) as session:
        rest = await all_pages(session, Scan("stock", resume=first.resume))
    assert ids(rest) == ["main/D", "main/A", "main/B"]


@pytest.mark.feature("SYN-10")
async def test_file_that_was_taken_away_in_the_middle_is_not_waited_for(files: FilesShop) -> None:
    files.settings["page_size"] = 2
    path = files.lay("stock.csv", stock(A=1, B=1, C=1))
    async with session_with(files) as session:
        first = await session.page(Scan("stock"))
    path.unlink()
    async with session_with(files) as session:
        rest = await all_pages(session, Scan("stock", resume=first.resume))
    assert ids(rest) == []
    assert not rest[-1].is_whole


async def test_files_that_were_read_before_are_put_away_and_the_next_one_is_read(files: FilesShop) -> None:
    files.lay("orders-0.csv", order_file(0))
    assert list(await scanned(files, "order")) == ["0"]
    for number in range(1, 40):
        files.lay(f"orders-{number}.csv", order_file(0))
    files.lay("orders-9999.csv", order_file(7))
    assert list(await scanned(files, "order")) == ["7"]
    assert files.there("in") == []


async def test_file_that_is_larger_than_we_read_is_refused(files: FilesShop) -> None:
    path = files.lay("stock.csv", stock(A=1))
    os.truncate(path, MOST_BYTES + 1)
    os.utime(path, ns=(1, 1))
    with pytest.raises(PlatformRefused, match="are the limit"):
        await scanned(files, "stock")


# --- files that are not what they should be


@pytest.mark.feature("SYN-8")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "'stock.csv': The file has no content"),
        (b"sku,quantity\n", "'stock.csv': The file has headings only"),
        (b"<html><body>Sign in</body></html>", "'stock.csv': It is a web page"),
        (b"sku,price\nA,1\n", "'stock.csv': A file of stocks needs a column headed quantity"),
        (b"PK\x03\x04damaged", "'stock.csv': "),
    ],
)
async def test_file_that_is_none_stops_the_feed_and_stays(files: FilesShop, content: bytes, words: str) -> None:
    files.lay("stock.csv", content)
    with pytest.raises(PlatformRefused) as raised:
        await scanned(files, "stock", None)
    assert raised.value.detail.startswith(words)
    assert files.there("in") == ["stock.csv"]


@pytest.mark.feature("SYN-8")
async def test_file_that_is_much_smaller_than_the_one_before_stops_the_feed(files: FilesShop) -> None:
    files.settings["most_shrink_percent"] = 50
    files.lay("stock.csv", stock(**{f"SKU-{n}": n for n in range(200)}))
    assert len(await scanned(files, "stock", None)) == 200
    files.lay("stock.csv", stock(**{f"SKU-{n}": n for n in range(50)}))
    with pytest.raises(PlatformRefused, match="most_shrink_percent"):
        await scanned(files, "stock", None)
    files.settings["most_shrink_percent"] = 90
    assert len(await scanned(files, "stock", None)) == 50


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("stock", b"sku,quantity\nA,1\nA,2\nB,3\n", "line 3, 'sku': Row 2 is about the same"),
        ("stock", b"sku,quantity\nA,many\nB,3\n", "line 2, 'quantity': 'many' is not a whole number"),
        ("stock", b"sku,quantity\nA,-1\nB,3\n", "line 2: quantity -1 is less than nothing"),
        ("stock", b'sku,quantity\nA,"1\nB,3\n', "line 2: A quote is opened"),
        ("supplier", b"code,name\ns1,A\ns1,B\ns2,C\n", "line 3, 'code': Row 2"),
        ("supplier_link", b"supplier,sku,cost\ns,A,free\ns,B,1\n", "line 2: cost: 'free'"),
        ("supplier_link", b"supplier,sku,cost,currency\ns,A,1,XXX\ns,B,1,EUR\n", "line 2: 'XXX' is not"),
        ("product", b"handle,title,sku,price\na,A,S1,1.00\nb,B,S1,1.00\nc,C,S3,2.00\n", "line 3"),
    ],
)
async def test_row_that_can_not_be_read_is_told_by_its_line_and_the_rest_is_read(
    files: FilesShop, kind: Any, content: bytes, words: str
) -> None:
    """platforms.md §5: duplicates inside one file are an error to show. SYN-8: then nobody can tell what vanished."""
    name = {"stock": "stock.csv", "supplier": "suppliers.csv", "supplier_link": "links.csv", "product": "products.csv"}
    files.lay(name[kind], content)
    async with session_with(files) as session:
        pages = await all_pages(session, Scan(kind))
    told = [each for page in pages for each in page.unread]
    assert any(each.message.startswith(words) for each in told), told
    assert len(ids(pages)) >= 1
    assert not pages[0].is_whole


async def test_order_with_a_row_that_can_not_be_read_is_told_whole_by_its_id(files: FilesShop) -> None:
    files.put_order(order(1))
    name = files.there("in")[0]
    rows = files.content("in", name)
    files.lay(name, table([rows[0], rows[0] | {"external_id": "2", "quantity": "none"}]))
    async with session_with(files) as session:
        pages = await all_pages(session, Scan("order"))
    assert ids(pages) == ["1"]
    assert [each.external_id for page in pages for each in page.unread] == ["2"]


async def test_order_beside_a_row_of_nobody_is_told_as_it_may_lack_a_line(files: FilesShop) -> None:
    files.put_order(order(1))
    name = files.there("in")[0]
    rows = files.content("in", name)
    files.lay(name, table([rows[0], rows[0] | {"external_id": ""}]))
    async with session_with(files) as session:
        pages = await all_pages(session, Scan("order"))
    assert ids(pages) == []
    assert {each.external_id for page in pages for each in page.unread} == {"1", None}


async def test_leading_zeros_and_encodings_are_kept(files: FilesShop) -> None:
    """platforms.md §5: everything is text first."""
    files.settings["stock"] = {"pattern": "stock*.csv", "encoding": "windows-1252", "delimiter": ";"}
    files.lay("stock.csv", "SKU;Qty;Warehouse\n00123;1;Köln\n1E5;2;\n".encode("cp1252"))
    assert await scanned(files, "stock") == {
        "Köln/00123": {"sku": "00123", "location": "Köln", "quantity": 1},
        "main/1E5": {"sku": "1E5", "location": "main", "quantity": 2},
    }


@pytest.mark.parametrize("profile", ["shopify", "supplier"])
async def test_products_come_in_the_files_of_other_platforms(files: FilesShop, profile: str) -> None:
    content = {
        "shopify": b"Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"
        b"a,A,Size,S,A-S,1.50\na,,,M,A-M,1.60\n",
        "supplier": b"vendorSku,name,brand,msrp,defaultCost,language,groupId,size\n"
        b"A-S,A,X,1.50,1,en,a,S\nA-M,A,X,1.60,1,en,a,M\n",
    }
    files.settings["products"] = {"pattern": "products*.csv", "profile": profile}
    files.lay("products.csv", content[profile])
    async with session_with(files) as session:
        (record,) = (await all_records(session, "product")).values()
    assert record.fields["title"] == "A"
    assert [part.fields["sku"] for part in record.parts] == ["A-S", "A-M"]
    assert [part.fields["price"]["amount"] for part in record.parts] == [150, 160]
    assert [list(part.fields["options"].values()) for part in record.parts] == [["S"], ["M"]]


async def test_suppliers_and_links_are_read(files: FilesShop) -> None:
    files.lay("suppliers.csv", b"code,name,contact_email\ns1,Skerry,o@skerry.example\n")
    files.lay("links.csv", b"supplier,sku,supplier_sku,cost\ns1,A,SK-9,8.00\n")
    assert await scanned(files, "supplier") == {"s1": {"name": "Skerry", "email": "o@skerry.example"}}
    cost = {"amount": 800, "currency": "EUR"}
    assert await scanned(files, "supplier_link") == {
        "s1/A": {"sku": "A", "supplier": "s1", "vendor_sku": "SK-9", "cost": cost}
    }


# --- what we lay


async def bare(shop: FilesShop, purse: Purse | None = None) -> Any:
    """A session with a shop that takes nothing."""
    async with connected("folder:", purse or Purse()) as http:
        return Files().session(Account(shop.settings, {}, shop.folder), http)


async def test_stock_is_one_file_with_what_we_expected_there(files: FilesShop) -> None:
    session = await bare(files)
    writes = [StockWrite("k1", "main/=A", "=A", "main", 3, 5), StockWrite("k2", "main/B", "B", "main", 0)]
    written = await session.write_stock(writes)
    assert [(each.outcome, each.external_id) for each in written] == [("ok", "main/=A"), ("ok", "main/B")]
    (name,) = files.there("out")
    assert files.content("out", name) == [
        {"sku": "'=A", "location": "main", "quantity": "3", "expected_quantity": "5", "operation_key": "k1"},
        {"sku": "B", "location": "main", "quantity": "0", "expected_quantity": "", "operation_key": "k2"},
    ]


@pytest.mark.feature("SYN-10")
@pytest.mark.parametrize("is_taken", [True, False])
async def test_file_is_laid_once_however_often_it_is_tried(files: FilesShop, is_taken: bool) -> None:
    writes = [StockWrite("k1", "main/A", "A", "main", 3, 5)]
    first = await (await bare(files)).write_stock(writes)
    laid = files.there("out")
    if is_taken:
        files.take_files()
    second = await (await bare(files)).write_stock(writes)
    assert [first[0].outcome, second[0].outcome] == ["ok", "unchanged"]
    assert files.there("out") == ([] if is_taken else laid)
    assert len(files.there("sent")) == 1


@pytest.mark.feature("SYN-10")
@pytest.mark.parametrize("steps", range(5))
async def test_file_is_laid_once_wherever_the_first_try_was_killed(files: FilesShop, steps: int) -> None:
    """Each try is killed after so many steps; then one is not."""
    settings = files_settings(files.settings)

    class Killed(Exception):
        pass

    class Mortal(LocalFolder):
        left = steps

        async def _step(self) -> None:
            if self.left == 0:
                raise Killed
            self.left -= 1

        async def write_part(self, path: str, name: str, content: bytes) -> None:
            await self._step()
            await super().write_part(path, name, content)

        async def finish(self, path: str, name: str) -> None:
            await self._step()
            await super().finish(path, name)

    laid = [("-stock-1.csv", b"a\n1\n")]
    for folder in (Mortal(files.folder, "webshop"), Mortal(files.folder, "webshop")):
        try:
            await lay(folder, settings, laid)
        except Killed:
            continue
    await lay(LocalFolder(files.folder, "webshop"), settings, laid)
    complete = [name for name in files.there("out") if not name.endswith(".part")]
    assert len(complete) == 1
    assert (files._place / "out" / complete[0]).read_bytes() == b"a\n1\n"


async def test_shipments_are_files_that_are_told_once_whatever_they_say(files: FilesShop) -> None:
    session = await bare(files)
    write = ShipmentWrite("ship/1:ä", "5001", [("A", 1), ("B", 2)], "DHL", ["JD1", "JD2"], "https://t.example/JD1")
    again = ShipmentWrite("ship/1:ä", "5001", [("A", 1)], "UPS", [], None)
    other = ShipmentWrite("ship/2", "5001", [("A", 1)], None, [], None)
    assert [each.outcome for each in await session.confirm_shipments([write])] == ["ok"]
    assert [each.outcome for each in await session.confirm_shipments([again, other])] == ["unchanged", "ok"]
    first, second = files.there("out")
    assert files.content("out", first) == [
        {
            "shipment": "ship/1:ä",
            "external_id": "5001",
            "sku": sku,
            "quantity": quantity,
            "carrier": "DHL",
            "tracking_numbers": "JD1 JD2",
            "tracking_url": "https://t.example/JD1",
        }
        for sku, quantity in (("A", "1"), ("B", "2"))
    ]
    assert files.content("out", second)[0]["carrier"] == ""


async def test_product_files_have_the_columns_that_are_to_change_and_no_other(files: FilesShop) -> None:
    """A column that is there empties what its cell leaves empty: what nobody wants to change is in no file."""
    session = await bare(files)
    price = {"amount": 1950, "currency": "EUR"}
    written = await session.write_products(
        [
            ProductWrite("k1", "a", {"title": "A"}),
            ProductWrite("k2", "b", {"title": "B"}),
            ProductWrite("k3", "c", {}, variants=[VariantWrite("C-1", "C-1", {"price": price})]),
            ProductWrite("k4", "d", {"brand": None, "tags": ["warm", "a|b"]}),
            ProductWrite("k5", "e", {}),
        ]
    )
    assert [each.outcome for each in written] == ["ok"] * 4 + ["unchanged"]
    assert [each.external_id for each in written[2].parts] == ["C-1"]
    assert sorted((files.content("out", name) for name in files.there("out")), key=str) == [
        [{"handle": "a", "title": "A"}, {"handle": "b", "title": "B"}],
        [{"handle": "c", "sku": "C-1", "price": "19.50"}],
        [{"handle": "d", "brand": "", "tags": "warm | a\\|b"}],
    ]


async def test_product_files_may_be_shopifys(files: FilesShop) -> None:
    files.settings["product_format"] = "shopify"
    session = await bare(files)
    variants = [VariantWrite(None, "A-1", {"sku": "A-1", "options": {"Size": "S"}, "barcode": None})]
    fields = {"handle": "a", "title": "A", "status": "draft", "options": ["Size"], "tags": ["x"]}
    await session.write_products([ProductWrite("k1", None, fields, variants=variants)])
    (name,) = files.there("out")
    (row,) = files.content("out", name)
    assert row == {
        "Handle": "a",
        "Title": "A",
        "Tags": "x",
        "Published": "false",
        "Option1 Name": "Size",
        "Option2 Name": "",
        "Option3 Name": "",
        "Status": "draft",
        "Option1 Value": "S",
        "Option2 Value": "",
        "Option3 Value": "",
        "Variant SKU": "A-1",
        "Variant Barcode": "",
    }


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (ProductWrite("k", None, {"title": "A"}), "has no handle"),
        (ProductWrite("k", "a", {"handle": "b"}), "another handle"),
        (ProductWrite("k", "a", {"colour": "red"}), "no column for 'colour'"),
        (ProductWrite("k", "a", {}, variants=[VariantWrite("S", "S", {"sku": "T"})]), "another SKU"),
        (
            ProductWrite("k", "a", {}, variants=[VariantWrite("S", "S", {"price": {"amount": 1, "currency": "USD"}})]),
            "The files are in EUR",
        ),
        (
            ProductWrite("k", "a", {}, variants=[VariantWrite("S", "S", {"options": dict.fromkeys("abcd", "x")})]),
            "3 options",
        ),
    ],
)
async def test_product_that_no_file_can_say_needs_a_person(files: FilesShop, write: ProductWrite, words: str) -> None:
    session = await bare(files)
    written = await session.write_products([write, ProductWrite("k2", "b", {"title": "B"})])
    assert [each.outcome for each in written] == ["person", "ok"]
    assert words in str(written[0].message)


# --- inside the folder


@pytest.mark.parametrize("place", ["in", "out", "archive", "sent"])
async def test_link_in_place_of_a_folder_is_not_followed(files: FilesShop, tmp_path: Path, place: str) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "stock.csv").write_bytes(stock(SECRET=1))
    path = files.folder / "webshop" / place
    if path.exists():
        path.rmdir()
    path.symlink_to(secret)
    if place in ("in", "archive"):
        with pytest.raises(PlatformRefused, match="Links are not followed"):
            await scanned(files, "stock", None)
    else:
        with pytest.raises(PlatformRefused, match="Links are not followed"):
            await (await bare(files)).write_stock([StockWrite("k", "main/A", "A", "main", 1)])
    assert [each.name for each in secret.iterdir()] == ["stock.csv"]


async def test_link_in_place_of_a_file_is_no_file(files: FilesShop, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(stock(SECRET=1))
    (files.folder / "webshop" / "in" / "stock.csv").symlink_to(tmp_path / "secret.csv")
    assert await scanned(files, "stock", None) == {}
    with pytest.raises(PlatformRefused, match="Links"):
        await LocalFolder(files.folder, "webshop").fetch("in", "stock.csv", (tmp_path / "copy").open("wb"))
    assert (tmp_path / "copy").read_bytes() == b""


async def test_pipe_in_place_of_a_file_keeps_nobody_waiting(files: FilesShop) -> None:
    os.mkfifo(files.folder / "webshop" / "in" / "stock.csv")
    assert await scanned(files, "stock", None) == {}


async def test_token_leads_to_no_other_folder(files: FilesShop, tmp_path: Path) -> None:
    (files.folder / "other").mkdir()
    (files.folder / "other" / "stock.csv").write_bytes(stock(SECRET=1))
    for name, path in (("../../other/stock.csv", None), ("stock.csv", "../other"), ("/etc/passwd", None)):
        token = f'{{"name": "{name}", "sha256": "0"' + (f', "path": "{path}"' if path else "") + "}"
        async with session_with(files) as session:
            with pytest.raises(PlatformRefused):
                await session.page(Scan("stock", resume=token))


async def test_inbox_that_is_not_there_is_named_from_the_organizations_folder_on(files: FilesShop) -> None:
    (files.folder / "webshop" / "in").rmdir()
    async with session_with(files) as session:
        assert (await session.greet()).missing == ["There is no folder 'organization/webshop/in' yet: make it."]


async def test_organization_without_a_folder_is_told_so(files: FilesShop) -> None:
    async with connected("folder:", Purse()) as http:
        session = Files().session(Account(files.settings, {}), http)
        with pytest.raises(PlatformRefused, match="CROSSDOCK_DROP_FOLDER"):
            await session.greet()


async def test_kind_that_is_not_set_up_is_named_and_refused(files: FilesShop) -> None:
    """Its feed is what the connection does not have; nothing is wrong with it."""
    assert lacks_of("files", files.settings) == {}
    del files.settings["suppliers"]
    assert lacks_of("files", files.settings) == {"import_suppliers": "No files of this kind are set up: suppliers."}
    async with session_with(files) as session:
        assert (await session.greet()).missing == []
        with pytest.raises(PlatformRefused, match="set up: supplier"):
            await session.page(Scan("supplier"))


@pytest.mark.feature("SYN-6")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "say either 'folder' or 'address'"),
        ({"folder": "a", "address": "https://a.example"}, "say either"),
        ({"folder": "../b"}, "folder: a path has no"),
        ({"folder": "a/./b"}, "folder: a path has no"),
        ({"folder": "a\\b"}, "folder: a path has '/'"),
        ({"folder": "a\nb"}, "folder: a path has '/'"),
        ({"folder": "a", "inbox": "/../etc"}, "inbox: a path has no"),
        ({"folder": "a", "inbox": "x", "outbox": "x"}, "four folders"),
        ({"folder": "a", "stock": {"pattern": "in/stock.csv"}}, "a pattern is of names alone"),
        ({"folder": "a", "stock": {"pattern": ".hidden"}}, "stock.pattern: "),
        ({"folder": "a", "stock": {"pattern": "a*"}, "orders": {"pattern": "A*"}}, "the same pattern"),
        ({"folder": "a", "stock": {"pattern": "a*", "profile": "shopify"}}, "only files of products"),
        ({"folder": "a", "currency": "XXX"}, "'XXX' is not an ISO 4217"),
        ({"address": "ftp://a.example"}, "address: give an address"),
        ({"address": "https://u:p@a.example"}, "no name or password in it"),
        ({"address": "sftp://a.example", "user": "u"}, "SFTP needs 'user' and 'host_key'"),
        ({"address": "https://a.example", "stock": {"pattern": "stock*.csv"}}, "named in full"),
        ({"folder": "a", "settle_seconds": -1}, "settle_seconds: "),
    ],
)
def test_settings_that_can_not_work_are_refused_by_name(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConnectionSettings) as raised:
        Files().check_settings(settings)
    assert words in raised.value.detail


@pytest.mark.feature("SYN-8")
async def test_file_takes_no_picture_away(files: FilesShop) -> None:
    async with session_with(files) as session:
        answer = await session.take_image("scarf-1", "https://images.example/a.png")
    assert (answer.outcome, answer.external_id) == ("person", "scarf-1")
    assert files.there("out") == []
