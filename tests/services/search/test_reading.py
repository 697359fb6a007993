"""Readers in several processes: all see the same, whatever is killed, deleted or spoilt."""

import asyncio
import json
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deploy import topology
from services.search.engines.place import Place
from services.search.engines.tantivy import TantivyIndex
from services.search.settings import search_settings
from services.search.use_cases import following
from services.search.use_cases.reading import Readers
from shared.contracts.accounts.messages import RemoveShop
from shared.contracts.search.messages import SearchOffers
from tests.doors import Client, eventually
from tests.factories.search import Seller

PROGRAM = Path(__file__).parent / "programs" / "reader.py"


class OtherProcess:
    """A reader that can be asked and killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, seller: Seller) -> "OtherProcess":
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, str(PROGRAM), str(seller.organization_id), stdin=pipe, stdout=pipe, limit=1 << 20
            )
        )

    async def sees(self) -> dict[str, Any]:
        """What it said last; asks for the next."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
            while not line.startswith(b'{"slugs"'):
                assert line, "the reader has ended"
                line = await self._process.stdout.readline()
        self._process.stdin.write(b"\n")
        return json.loads(line)

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    category = await seller.category("Clothing")
    for name in ("Scarf", "Sweater", "Kettle"):
        await seller.sell(name, category)
    await seller.sells(3)
    await seller.settles()
    return seller


@pytest.fixture
async def other(shop: Seller) -> AsyncIterator[OtherProcess]:
    started = await OtherProcess.start(shop)
    yield started
    await started.kill()


async def _finds(shop: Seller, count: int) -> None:
    """Wait until the reader of this process has followed the table to `count` offers."""

    async def look() -> bool:
        return json.loads(await shop.ask(SearchOffers(shop="main")))["total"] == count

    await eventually(look)


async def _agree(other: OtherProcess, slugs: list[str]) -> None:
    async def look() -> bool:
        return (await other.sees())["slugs"] == slugs

    await eventually(look)


@pytest.mark.feature("SEA-2", "SEA-8")
async def test_readers_in_two_processes_see_the_same(shop: Seller, other: OtherProcess) -> None:
    assert (await other.sees())["slugs"] == ["kettle", "scarf", "sweater"]
    await shop.stock({"KETTLE": 0})
    await shop.sells(2)
    await _agree(other, ["scarf", "sweater"])
    await shop.stock({"KETTLE": 1})
    await shop.sells(3)
    await _agree(other, ["kettle", "scarf", "sweater"])
    await _finds(shop, 3)
    here = json.loads(await shop.ask(SearchOffers(shop="main")))
    assert sorted(item["slug"] for item in here["items"]) == ["kettle", "scarf", "sweater"]


@pytest.mark.feature("SEA-2", "SEA-8")
@pytest.mark.parametrize("spoil", ["nothing", "folder", "content"])
async def test_a_killed_reader_s_successor_takes_over_and_catches_up(
    shop: Seller, other: OtherProcess, spoil: str
) -> None:
    before = await other.sees()
    await other.kill()
    folder = Path(before["folder"])
    match spoil:
        case "folder":
            shutil.rmtree(folder)
        case "content":
            (folder / "meta.json").write_bytes(b"")
    await shop.stock({"SCARF": 0})
    await shop.sells(2)
    successor = await OtherProcess.start(shop)
    try:
        seen = await successor.sees()
        assert seen["folder"] == before["folder"]
        assert seen["slugs"] == ["kettle", "sweater"]
    finally:
        await successor.kill()
        await shop.stock({"SCARF": 3})
        await shop.sells(3)


@pytest.mark.feature("SEA-2", "SEA-8")
async def test_a_folder_that_is_lost_while_it_is_read_is_filled_anew(
    shop: Seller, process: topology.Surrounded
) -> None:
    reader = await process.surroundings.resident(Readers).reader(shop.organization_id, "main")
    await _finds(shop, 3)
    index = reader.index
    assert isinstance(index, TantivyIndex)
    shutil.rmtree(index._folder)
    assert json.loads(await shop.ask(SearchOffers(shop="main")))["total"] == 3
    await shop.stock({"SWEATER": 0})
    await _finds(shop, 2)
    assert reader.index is not index
    await shop.stock({"SWEATER": 5})
    await shop.sells(3)


@pytest.mark.feature("SEA-8")
def test_living_processes_never_share_a_folder(tmp_path: Path) -> None:
    first, second = Place(tmp_path), Place(tmp_path)
    assert first.folder != second.folder
    first.close()
    third = Place(tmp_path)
    assert third.folder == first.folder
    second.close()
    third.close()


@pytest.mark.feature("SEA-2")
async def test_answers_are_kept_until_the_index_goes_on(shop: Seller, process: topology.Surrounded) -> None:
    await _finds(shop, 3)

    async def is_kept() -> bool:
        # The reader may still be taking over what was changed last.
        first = await shop.ask(SearchOffers(shop="main", query="scarf"))
        return await shop.ask(SearchOffers(shop="main", query="scarf")) is first

    await eventually(is_kept)
    await shop.price({"SCARF": 4321})

    async def newer() -> bool:
        found = json.loads(await shop.ask(SearchOffers(shop="main", query="scarf")))
        return found["items"][0]["price"]["amount"] == 4321

    await eventually(newer)


def _limit(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    limited = search_settings().model_copy(update=limits)
    monkeypatch.setattr(following, "search_settings", lambda: limited)


async def _found(seller: Seller, code: str) -> Any:
    """What the reader of this process finds in a shop; HTTP is answered by readers of its own."""
    return json.loads(await seller.ask(SearchOffers(shop=code)))


def _open_shops(process: topology.Surrounded, seller: Seller) -> list[str]:
    """The codes of a merchant's open readers, the one asked longest ago first."""
    known = process.surroundings.resident(Readers)._readers
    return [code for organization_id, code in known if organization_id == seller.organization_id]


async def _are_open(process: topology.Surrounded, seller: Seller, codes: list[str]) -> None:
    async def look() -> bool:
        assert _open_shops(process, seller) == codes
        return True

    await eventually(look)


@pytest.fixture(scope="module")
async def chain(process: topology.Surrounded, client: Client) -> Seller:
    """A merchant with three shops that sell one thing."""
    seller = Seller(process, client)
    codes = ["main", "north", "south"]
    for code in codes:
        await seller.open(code)
    await seller.sell("Scarf", await seller.category("Clothing", shops=codes))
    for code in codes[1:]:
        await seller.price({"SCARF": 1000}, shop=code)
    for code in codes:
        await seller.sells(1, code)
    await seller.settles()
    return seller


@pytest.mark.feature("SEA-8")
async def test_of_too_many_readers_the_longest_unasked_close_and_come_back_up_to_date(
    chain: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(monkeypatch, readers=2)
    for code in ("south", "main", "north", "main"):
        await _found(chain, code)
    await _are_open(process, chain, ["north", "main"])
    await chain.price({"SCARF": 777}, shop="south")

    async def costs_less() -> bool:
        return (await _found(chain, "south"))["items"][0]["price"]["amount"] == 777

    await eventually(costs_less)
    await _are_open(process, chain, ["main", "south"])


@pytest.mark.feature("SEA-8")
async def test_a_reader_nobody_asks_for_closes_and_its_folder_serves_the_next(
    chain: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = process.surroundings.resident(Readers)
    before = await readers.reader(chain.organization_id, "main")
    assert isinstance(before.index, TantivyIndex)
    with monkeypatch.context() as patch:
        _limit(patch, reader_idle_seconds=1e-6)
        await _are_open(process, chain, [])
    assert before.index._folder.exists()
    after = await readers.reader(chain.organization_id, "main")
    assert isinstance(after.index, TantivyIndex)
    assert (after.index._folder, after.index.sequence) == (before.index._folder, before.index.sequence)
    # Who was given it before it closed may read to the end.
    assert before.index.page("scarf") == after.index.page("scarf") is not None


@pytest.mark.feature("SEA-8")
async def test_what_filling_an_index_took_is_given_back_also_when_nothing_changes_then(
    chain: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = process.surroundings.resident(Readers)
    before = (await readers.reader(chain.organization_id, "main")).index
    assert isinstance(before, TantivyIndex)
    with monkeypatch.context() as patch:
        _limit(patch, reader_idle_seconds=1e-6)
        await _are_open(process, chain, [])
    shutil.rmtree(before._folder)
    monkeypatch.setattr(following, "_REST_SECONDS", 0.0)
    filled = (await readers.reader(chain.organization_id, "main")).index
    assert isinstance(filled, TantivyIndex)
    assert filled.page("scarf") is not None

    async def rests() -> bool:
        return filled._writer is None

    await eventually(rests)


@pytest.mark.feature("SEA-8")
async def test_a_folder_is_opened_again_only_when_it_was_left(
    chain: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = process.surroundings.resident(Readers)
    await readers.reader(chain.organization_id, "north")
    may_leave, is_leaving = threading.Event(), threading.Event()
    close, opened = TantivyIndex.close, Readers._opened

    def close_slowly(index: TantivyIndex) -> None:
        is_leaving.set()
        may_leave.wait()
        close(index)

    async def opened_after(self: Readers, shop: Any, **options: Any) -> Any:
        assert may_leave.is_set()
        return await opened(self, shop, **options)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(TantivyIndex, "close", close_slowly)
            _limit(patch, reader_idle_seconds=1e-6)
            await _are_open(process, chain, [])
            # It closes in a thread, which may come to it only after it is no longer counted among the open ones.
            assert await asyncio.to_thread(is_leaving.wait, 60)
        monkeypatch.setattr(Readers, "_opened", opened_after)
        again = asyncio.create_task(_found(chain, "north"))

        async def waits() -> bool:
            return bool(readers._opening)

        await eventually(waits)
    finally:
        may_leave.set()
    assert (await again)["total"] == 1


@pytest.mark.feature("SEA-8", "ACC-3")
async def test_of_a_removed_shop_no_folder_stays(chain: Seller, process: topology.Surrounded) -> None:
    reader = await process.surroundings.resident(Readers).reader(chain.organization_id, "south")
    assert isinstance(reader.index, TantivyIndex)
    folder = reader.index._folder
    assert folder.exists()
    await chain.ask(RemoveShop(shop_id=chain.shops["south"].id))

    async def gone() -> bool:
        return not folder.exists() and _open_shops(process, chain).count("south") == 0

    await eventually(gone)
