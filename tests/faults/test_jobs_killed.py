"""Long work goes on while whoever does it is killed, from the last step that was kept, and nothing is done twice."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.bench.system import System
from tests.conftest import scale
from tests.fakes.custom import CustomShop
from tests.faults.killing import kill
from tests.faults.shopping import read
from tests.platforms.conftest import put_products
from tests.waiting import until

pytestmark = pytest.mark.parametrize("system", ["distributed"], indirect=True)
PRODUCTS = 4_000
ROWS = 200_000
_PAGE = 10
_VICTIMS = ("work sync", "work catalog", "redis", "serve sync")
_VICTIMS_OF_IMPORTS = ("work catalog", "redis", "work catalog", "serve catalog")


@pytest.fixture
async def fake() -> AsyncIterator[CustomShop]:
    shop = CustomShop(page_size=_PAGE)
    await shop.start()
    yield shop
    await shop.stop()


@dataclass
class Asking:
    """What is asked of the system, patiently: whoever answers may just have been killed."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def get(self, path: str, **params: Any) -> Any:
        return await read(self.http, path, self.headers, **params)

    async def post(self, path: str, body: Any = None) -> Any:
        answer = await self.http.post(path, json=body, headers=self.headers)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def patch(self, path: str, body: Any) -> None:
        answer = await self.http.patch(path, json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text

    async def execution(self, execution_id: str, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """A run of a feed, once it is as wanted."""

        async def look() -> dict[str, Any] | None:
            execution: dict[str, Any] = await self.get(f"/v1/feed-executions/{execution_id}")
            return execution if is_wanted(execution) or execution["finished_at"] else None

        found = await until(look, 300)
        assert found is not None
        return found

    async def imported(self, import_id: str, is_wanted: Callable[[int], bool]) -> dict[str, Any]:
        """An import, once so many of its rows are done as are wanted, or all."""

        async def look() -> dict[str, Any] | None:
            found: dict[str, Any] = await self.get(f"/v1/imports/{import_id}")
            return found if is_wanted(found["counters"].get("rows", 0)) or found["finished_at"] else None

        found = await until(look, 300)
        assert found is not None
        return found

    async def slugs(self) -> set[str]:
        slugs: set[str] = set()
        after: dict[str, str] = {}
        while True:
            page = await self.get("/v1/products", first=200, **after)
            slugs |= {product["slug"] for product in page["items"]}
            if page["next"] is None:
                return slugs
            after = {"after": page["next"]}


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.feature("SYN-10", "SYN-4")
async def test_a_killed_fetch_goes_on_from_its_last_page(system: System, fake: CustomShop) -> None:
    count = max(int(PRODUCTS * scale()), 200)
    draft = {
        "platform": "custom",
        "name": "Quay",
        "shop": "main",
        "settings": {"platform": fake.settings, "fields": {}},
        "credentials": fake.credentials,
    }
    async with httpx.AsyncClient(base_url=str(system.http.base_url), timeout=60) as http:
        asking = Asking(http, system.headers("admin"))
        connection = await asking.post("/v1/connections", draft)
        feeds = (await asking.get("/v1/feeds", connection_id=connection["id"]))["items"]
        feed = next(each["id"] for each in feeds if each["kind"] == "import_products")
        for each in feeds:
            # None begins by itself when its minute comes.
            await asking.patch(f"/v1/feeds/{each['id']}", {"cron": None})
        first = await asking.post(f"/v1/feeds/{feed}/run")
        await asking.execution(first["id"], lambda execution: execution["finished_at"] is not None)
        await asking.post(f"/v1/connections/{connection['id']}/matches/confirm")
        put_products(fake, count, first=1_001)
        fake.requests.clear()
        before = len(await asking.slugs())
        started = await asking.post(f"/v1/feeds/{feed}/run")
        for number, victim in enumerate(_VICTIMS, 1):
            mark = number * count // (len(_VICTIMS) + 1)
            await asking.execution(started["id"], lambda execution, mark=mark: execution["progress"]["done"] >= mark)
            kill(system, victim)

        done = await asking.execution(started["id"], lambda execution: execution["finished_at"] is not None)

        told = (done["state"], done["counters"]["scanned"], done["counters"]["applied"])
        assert told == ("succeeded", count, count), done
        assert len(await asking.slugs()) == before + count
    pages = [asked for asked in fake.requests if asked.startswith("GET /products")]
    # One page per kill may have been asked for and not kept.
    assert len(pages) <= count // _PAGE + len(_VICTIMS) + 1


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.feature("CAT-5", "CAT-8", "INV-5")
async def test_a_killed_import_goes_on_from_its_last_portion(system: System) -> None:
    """Every row is taken once: as many products, movements of stock and announced ids as there are rows."""
    count = int(ROWS * scale())
    victims = _VICTIMS_OF_IMPORTS if scale() == 1 else _VICTIMS_OF_IMPORTS[:2]
    lines = (f"kept-{n},Kept {n},KEPT-{n},{n % 90 + 1}.50,{n % 50 + 1}" for n in range(count))
    file = "\n".join(("Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty", *lines, "")).encode()
    async with httpx.AsyncClient(base_url=str(system.http.base_url), timeout=60) as http:
        asking = Asking(http, system.headers("admin"))
        answer = await http.post("/v1/imports?shop=main&profile=shopify", content=file, headers=asking.headers)
        assert answer.status_code == 202, answer.text
        import_id = answer.json()["id"]
        for number, victim in enumerate(victims, 1):
            mark = number * count // (len(victims) + 1)
            await asking.imported(import_id, lambda rows, mark=mark: rows >= mark)
            kill(system, victim)

        done = await asking.imported(import_id, lambda _: False)

        assert (done["state"], done["error"]) == ("succeeded", None)
        counted = {name: done["counters"].get(name, 0) for name in ("rows", "products_inserted", "prices_inserted")}
        assert counted == dict.fromkeys(counted, count)
        again = await http.post("/v1/imports?shop=main&profile=shopify", content=file, headers=asking.headers)
        repeated = await asking.imported(again.json()["id"], lambda _: False)
        assert repeated["counters"]["products_unchanged"] == count
    assert await _rows(system, "SELECT count(*) FROM catalog.variants WHERE sku LIKE 'KEPT-%'") == count

    async def moved() -> bool:
        """Stock is inventory's, and comes a little later."""
        moves = "SELECT count(*) FROM inventory.stock_movements WHERE sku LIKE 'KEPT-%'"
        return bool(await _rows(system, moves) == count)

    await until(moved, 120)


async def _rows(system: System, question: str) -> Any:
    connection = await asyncpg.connect(system.admin_url().rsplit("/", 1)[0] + "/crossdock")
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()
