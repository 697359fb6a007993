"""The shop that sync is measured with: it speaks the custom protocol and keeps to its budget, however large it is."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from deploy.bench import shop
from services.sync.errors import PlatformAway
from services.sync.platforms.base import Account, Scan, Session, StockWrite
from services.sync.platforms.custom.platform import Custom
from services.sync.platforms.http import connected
from tests.platforms.conftest import Purse, all_records

pytestmark = pytest.mark.feature("SYN-12")


@pytest.fixture
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "deploy.bench.shop", "30", "5", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


@pytest.fixture
async def opened(address: str) -> AsyncIterator[Session]:
    """A session with a shop of 30 products and 5 stock levels, of which 8 may be asked at once."""
    account = Account({"url": address, "page_size": 12}, {"token": shop.TOKEN})
    async with connected(address, Purse(), allow_private=True) as http:
        yield Custom().session(account, http)


async def test_every_record_is_given_once_and_reads_well(opened: Session) -> None:
    assert (await opened.greet()).missing == []
    products = await all_records(opened, "product")
    assert sorted(map(int, products)) == list(range(30))
    assert {len(record.parts) for record in products.values()} == {shop.VARIANTS}
    assert len(await all_records(opened, "stock")) == 5
    assert (await opened.page(Scan("order"))).records == []


async def test_stock_is_written_and_what_is_more_than_the_budget_is_refused(opened: Session, address: str) -> None:
    write = StockWrite("key", "main/3", shop.stock_sku(3), "main", 7, 0)
    outcomes = [(await opened.write_stock([each]))[0].outcome for each in (write, write)]
    assert outcomes == ["ok", "unchanged"]
    (level,) = await opened.read("stock", ["main/3"])
    assert level.fields["quantity"] == 7
    with pytest.raises(PlatformAway):
        for _ in range(100):
            await opened.greet()
    async with httpx.AsyncClient() as client:
        figures = (await client.get(f"{address}/figures")).json()
    assert (len(figures["writes"]), figures["refused"]) == (2, 1)
