"""A fetch goes on while whoever does it is killed: from the last page that was kept, and nothing is created twice."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.bench.system import System, running_system
from tests.conftest import scale
from tests.fakes.custom import CustomShop
from tests.faults.killing import kill
from tests.faults.shopping import read
from tests.platforms.conftest import put_products
from tests.waiting import until

PRODUCTS = 4_000
_PAGE = 10
_VICTIMS = ("work sync", "work catalog", "redis", "serve sync")


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSDOCK_FETCH_PRIVATE", "true")
        with running_system("distributed", workers=1) as started:
            yield started


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

    async def execution(self, execution_id: str, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """A run of a feed, once it is as wanted."""

        async def look() -> dict[str, Any] | None:
            execution: dict[str, Any] = await self.get(f"/v1/feed-executions/{execution_id}")
            return execution if is_wanted(execution) or execution["finished_at"] else None

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
        first = await asking.post(f"/v1/feeds/{feed}/run")
        await asking.execution(first["id"], lambda execution: execution["finished_at"] is not None)
        await asking.post(f"/v1/connections/{connection['id']}/matches/confirm")
        put_products(fake, count)
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
