"""`crossdock connect` against a running system and the reference server, in both topologies."""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from deploy.bench.system import System
from shared import clock
from tests.fakes.prestashop import PrestaShop
from tests.platforms.conftest import order, put_products

pytestmark = pytest.mark.feature("SYN-1", "SYN-6", "SYN-9")
PRODUCTS = 120


@pytest.fixture
def server() -> Iterator[dict[str, str]]:
    """The reference server, another shop for each test: `url` and `token`."""
    command = [sys.executable, "-m", "tests.fakes.custom_server", "--port", "0", "--products", str(PRODUCTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = dict(pair.split("=", 1) for pair in process.stdout.readline().split())
        yield said
        process.terminate()


@pytest.fixture
def prestashop() -> Iterator[PrestaShop]:
    """A PrestaShop shop with two products and an order, served by a thread of its own."""
    shop, loop = PrestaShop(), asyncio.new_event_loop()
    serving = threading.Thread(target=loop.run_forever)
    serving.start()
    asyncio.run_coroutine_threadsafe(shop.start(), loop).result(30)
    put_products(shop, 2)
    shop.put_stock("SCARF-1", "1", 12)
    # The order is of yesterday: orders are taken from the connecting on, and this second may be the same one.
    shop.memory.now = clock.now() - timedelta(days=1)
    shop.put_order(order(501, status="Payment accepted"))
    shop.memory.now = None
    yield shop
    asyncio.run_coroutine_threadsafe(shop.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    serving.join()
    loop.close()


def connect(system: System, *words: str, said: str = "") -> tuple[int, str]:
    """The exit code, and what it printed."""
    credentials = ["--credentials", str(system.data / "credentials.json")]
    command = [sys.executable, "-m", "deploy.cli", "connect", *words, *credentials]
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def options(server: dict[str, str], name: str) -> list[str]:
    setting, credential = f"url={server['url']}", f"token={server['token']}"
    return ["--platform", "custom", "--name", name, "--setting", setting, "--credential", credential, "--shop", "main"]


def test_a_shop_is_connected_without_being_asked(system: System, server: dict[str, str]) -> None:
    code, said = connect(system, *options(server, "By options"), "--location", "main=main", "--yes")
    assert code == 0, said
    for words in ("Shop on the quay", "currency: EUR", f"{PRODUCTS} would be created here", f"{PRODUCTS} applied"):
        assert words in said, said
    assert "✓ matches_seen" in said
    assert "✓ stock_imported" in said
    (product,) = system.ask("GET", "/v1/products", params={"slug": "quay-scarf-7"})["items"]
    assert product["variants"][0]["sku"] == "QUAY-0007"
    levels = system.ask("GET", "/v1/stock", params={"sku": "QUAY-0007"})["items"]
    assert [(each["centre"], each["on_hand"]) for each in levels] == [("main", 12)]
    (found,) = [each for each in system.ask("GET", "/v1/connections")["items"] if each["name"] == "By options"]
    assert found["mode"] == "test"
    assert (found["id"] in said, server["token"] in said) == (True, False)


def test_a_prestashop_shop_is_connected_as_its_page_says(system: System, prestashop: PrestaShop) -> None:
    given = ["--platform", "prestashop", "--name", "Presta", "--shop", "main", "--location", "1=main"]
    url, key = f"url={prestashop.settings['url']}", f"key={prestashop.credentials['key']}"
    prestashop.forbidden = {"POST order_histories"}
    code, said = connect(system, *given, "--setting", url, "--credential", key, said="y\ny\ny\n")
    assert code == 0, said
    for words in (
        "Quay shop",
        "time zone: Europe/Paris",
        "the credentials lack POST order_histories",
        "2 would be created here",
        "✓ matches_seen",
        "✓ stock_imported",
        "Payment accepted: import",
        "Shipped: import and complete",
        "UTC (setting orders_from): nothing there",
    ):
        assert words in said, said
    (found,) = [each for each in system.ask("GET", "/v1/connections")["items"] if each["name"] == "Presta"]
    assert found["settings"]["order_statuses"]["Canceled"] == "import_and_cancel"
    levels = system.ask("GET", "/v1/stock", params={"sku": "SCARF-1"})["items"]
    assert [(each["centre"], each["on_hand"]) for each in levels] == [("main", 12)]
    assert {asked.method for asked in prestashop.requests} == {"GET"}


def test_whoever_does_not_agree_goes_on_later(system: System, server: dict[str, str]) -> None:
    code, said = connect(system, *options(server, "By hand"), "--no-orders", said="n\n")
    assert code == 3, said
    (match,) = re.findall(r"crossdock connect --connection ([0-9a-f-]{36})", said)
    preview = system.ask("GET", f"/v1/connections/{match}/matches")
    assert preview["seen_at"] is None
    mixed = connect(system, "--connection", match, "--platform", "custom")
    assert (mixed[0], "is said already" in mixed[1]) == (2, True)
    code, said = connect(system, "--connection", match, "--no-stock", "--no-orders", said="y\n")
    assert code == 0, said
    assert "✗ stock_imported" in said
    assert "Next: mend what is not met" in said
    assert system.ask("GET", f"/v1/connections/{match}/matches")["seen_at"] is not None


def test_what_is_missing_is_asked_for(system: System, server: dict[str, str]) -> None:
    answers = ["custom", server["url"], server["token"], "main", "Asked", "n"]
    code, said = connect(system, said="".join(f"{answer}\n" for answer in answers))
    assert (code, "Shop on the quay" in said) == (3, True), said
    assert server["token"] not in said
    code, said = connect(system, "--platform", "custom", "--yes")
    assert (code, "--setting url=…" in said) == (2, True), said


def test_what_is_refused_is_said_and_nothing_is_kept(system: System, server: dict[str, str]) -> None:
    before = len(system.ask("GET", "/v1/connections", params={"first": 200})["items"])
    wrong = [word.replace(server["token"], "wrong") for word in options(server, "Wrong")]
    code, said = connect(system, *wrong, "--yes")
    assert (code, "credentials_refused" in said, "--connection" in said) == (1, True, False), said
    code, said = connect(system, *options(server, "Wrong"), "--location", "main=nowhere", "--yes", "--no-orders")
    assert (code, "no fulfilment centre 'nowhere'" in said) == (2, True), said
    assert connect(system, "--platform", "ebay", "--yes")[0] == 2
    assert connect(system, "--connection", "00000000-0000-0000-0000-000000000000", "--yes")[0] == 1
    assert len(system.ask("GET", "/v1/connections", params={"first": 200})["items"]) == before + 1
