"""One stock, sold on two platforms and here at the same moment: no unit is promised twice by us.

Nothing is sold twice but by the platforms' own delay: a platform that was told that nothing is left, after that was
known here, offers nothing any more. What the delay has sold twice is told to the unit. Sales, feeds, their order, lost
answers and workers that die come from a seed, and each seed has another two platforms; `deploy/test --full` tries more.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import scale
from tests.doors import eventually
from tests.factories.orders import body
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.fakes.platforms import FakeShop
from tests.platforms.conftest import FAKES, order, put_products
from tests.services.sync.dying import Deaths, ask_again_soon
from tests.services.sync.test_orders_and_stock import STATUSES, set_up, try_again_now

pytestmark = [pytest.mark.feature("SYN-2", "SYN-3", "INV-3"), pytest.mark.timeout(600)]

THERE = 6
SKUS = ("SCARF-1", "SCARF-2")
# Not files: what they tell is as old as whoever writes and takes them lets it be.
SIDES = ("custom", "shopify", "magento", "prestashop", "woocommerce", "agent")
PAIRS = [
    (FAKES[SIDES[seed % len(SIDES)]], FAKES[SIDES[(seed + 1 + seed // len(SIDES)) % len(SIDES)]], seed)
    for seed in range(max(1, int(10 * scale())))
]
FEEDS = ("import_orders", "export_stock")
FAULTS = ("throttle", "half", "lost")
_LONGEST_MOMENTS = 100
# Which share of the runs tells a platform what is left; the others fetch its orders.
_TELLS = 0.5


@pytest.fixture
async def fair(request: pytest.FixtureRequest) -> AsyncIterator[FakeShop]:
    """The other platform."""
    shop: FakeShop = getattr(request, "param", CustomShop)()
    await shop.start()
    yield shop
    await shop.stop()


class Market:
    """A merchant who sells the same units on two platforms and here."""

    def __init__(self, first: Connected, second: Connected, deaths: Deaths, seed: int = 0) -> None:
        self.sides, self.deaths, self.luck = (first, second), deaths, random.Random(seed)
        self.sold: Counter[str] = Counter()
        self.orders = 0
        # Which platforms know of which SKUs that nothing is left.
        self.told: set[tuple[str, str]] = set()

    async def sell_there(self, side: Connected, sku: str) -> None:
        """A unit is sold over there, as long as the platform believes that it has one."""
        shown = side.fake.stock(sku, "main")
        if shown > 0:
            assert (side.id, sku) not in self.told, "it is offered where we have said that nothing is left"
            self.orders += 1
            self.sold[sku] += 1
            side.fake.put_stock(sku, "main", shown - 1)
            side.fake.put_order(order(600 + self.orders, sku=sku, quantity=1))

    async def sell_here(self, sku: str) -> None:
        here = self.sides[0]
        self.orders += 1
        key = {**here.headers, "Idempotency-Key": f"sold-here-{self.orders}"}
        wanted = body(lines=[{"sku": sku, "quantity": 1}])
        answer = await here.client.post("/v1/orders", json=wanted, headers=key)
        assert answer.status_code in (201, 409), answer.text
        if answer.status_code == 201:
            self.sold[sku] += 1
        else:
            assert answer.json()["code"] == "insufficient_stock", answer.text

    async def run(self, side: Connected, kind: str) -> None:
        answer = await side.client.post(f"/v1/feeds/{side.feeds[kind]['id']}/run", headers=side.headers)
        if answer.status_code == 202:
            await side.ended(answer.json()["id"], 90)

    async def tell(self, side: Connected) -> None:
        """What is left is told to a platform. What it knows after that it does not sell."""
        await side.heard_all()
        gone = [sku for sku in SKUS if (await self.level(sku))["available"] == 0]
        await self.run(side, "export_stock")
        waiting = {each["sku"] for each in await side.changes(direction="out", state="queued")}
        self.told |= {(side.id, sku) for sku in gone if sku not in waiting}

    async def go_wrong(self) -> None:
        """The next answer of a platform is lost, or the next job is not ended by who begins it."""
        setattr(self.luck.choice(self.sides).fake.faults, self.luck.choice(FAULTS), 1)
        self.deaths.strike(self.luck.randint(1, _LONGEST_MOMENTS))

    async def exchange(self) -> None:
        """Everybody hears of everything, once."""
        for kind in FEEDS:
            await self.sides[0].heard_all()
            await try_again_now(self.sides[0])
            for side in self.sides:
                await (self.tell(side) if kind == "export_stock" else self.run(side, kind))

    async def settle(self) -> None:
        """Nothing is sold any more, nor goes wrong: until both platforms show what there is."""
        self.deaths.spare()
        for side in self.sides:
            for name in FAULTS:
                setattr(side.fake.faults, name, 0)
        for _ in range(12):
            before = [len(side.fake.writes) for side in self.sides]
            await self.exchange()
            if before == [len(side.fake.writes) for side in self.sides] and not await self.waits():
                return
        raise AssertionError("it never goes quiet")

    async def waits(self) -> int:
        """How many stock levels are still to be compared or sent."""
        connected = self.sides[0]
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        left: int = await uow.fetchval(
            "SELECT (SELECT count(*) FROM listings WHERE marks > 0 AND entity = 'stock')"
            " + (SELECT count(*) FROM changes WHERE state = 'queued' AND entity = 'stock')"
        )
        await uow.rollback()
        return left

    async def level(self, sku: str) -> dict[str, Any]:
        (level,) = (await self.sides[0].get(f"/v1/stock?sku={sku}"))["items"]
        return dict(level)

    async def oversold(self) -> list[dict[str, Any]]:
        """What both connections say is lacking."""
        told = [await side.get(f"/v1/connections/{side.id}/stats") for side in self.sides]
        return [line for stats in told for line in stats["oversold"]]


async def open_market(connected: Connected, fake: FakeShop, fair: FakeShop, deaths: Deaths, seed: int = 0) -> Market:
    """Both platforms are connected, live, and show the six units that there are of each SKU."""
    await set_up(connected, fake)
    other = Connected(connected.process, connected.client, fair)
    other.organization_id, other.caller, other.headers = (
        connected.organization_id,
        connected.caller,
        connected.headers,
    )
    put_products(fair, len(SKUS))
    for sku in SKUS:
        fair.put_stock(sku, "main", 10)
    place = getattr(fair, "place", "main")
    other.connection = await other.connect(locations={place: "quay"}, order_statuses=STATUSES)
    other.id = other.connection["id"]
    other.feeds = {feed["kind"]: feed for feed in (await other.get(f"/v1/feeds?connection_id={other.id}"))["items"]}
    await other.confirm_matches()
    for kind in ("import_products", "import_stock"):
        assert (await other.run(kind))["state"] == "succeeded"
    market = Market(connected, other, deaths, seed)
    rows = [{"sku": sku, "centre": "quay", "on_hand": THERE} for sku in SKUS]
    await connected.post("/v1/stock/bulk", rows)
    for side in market.sides:
        await side.go_live()
    await market.settle()
    assert [side.fake.stock(sku, "main") for side in market.sides for sku in SKUS] == [THERE] * 4
    return market


async def test_where_everybody_hears_of_each_sale_nothing_is_sold_twice(
    connected: Connected, fake: FakeShop, fair: CustomShop, deaths: Deaths
) -> None:
    market = await open_market(connected, fake, fair, deaths)
    for number in range(THERE + 2):
        if number % 3 == 2:
            await market.sell_here(SKUS[0])
        else:
            await market.sell_there(market.sides[number % 3], SKUS[0])
        await market.settle()
    assert market.sold == {SKUS[0]: THERE}
    assert [side.fake.stock(SKUS[0], "main") for side in market.sides] == [0, 0]
    assert await market.oversold() == []


@pytest.mark.parametrize(("fake", "fair", "seed"), PAIRS, indirect=["fake", "fair"])
async def test_what_the_delay_sold_twice_is_told_and_nothing_more_is(
    connected: Connected, fake: FakeShop, fair: FakeShop, deaths: Deaths, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sales everywhere and feeds at the same moment. Ours are promised once; whoever came too late waits."""
    ask_again_soon(monkeypatch)
    market = await open_market(connected, fake, fair, deaths, seed)
    luck = market.luck
    for number in range(8):
        if number % 3 == 1:
            await market.go_wrong()
        at_once = [market.sell_there(side, luck.choice(SKUS)) for side in market.sides]
        at_once.append(market.sell_here(luck.choice(SKUS)))
        for _ in range(luck.randint(0, 2)):
            side = luck.choice(market.sides)
            at_once.append(market.tell(side) if luck.random() < _TELLS else market.run(side, "import_orders"))
        await asyncio.gather(*at_once)
    await market.settle()

    lines = await market.oversold()
    assert lines, "nothing was sold twice, and so nothing is proved"
    for sku in SKUS:
        level = await market.level(sku)
        beyond = max(market.sold[sku] - THERE, 0)
        assert (level["on_hand"], level["reserved"]) == (THERE, min(market.sold[sku], THERE)), market.sold
        assert [side.fake.stock(sku, "main") for side in market.sides] == [level["available"]] * 2
        assert sum(line["lacking"] for line in lines if line["sku"] == sku) == beyond
        assert sum(line["waiting"] for line in lines if line["sku"] == sku) == beyond
    # What is bought in lets them go on, and nothing is lacking any more.
    rows = [{"sku": sku, "centre": "quay", "delta": 20} for sku in SKUS]
    await connected.post("/v1/stock/bulk", rows)
    orders = (await connected.get("/v1/orders?first=200"))["items"]
    for each in orders:
        if each["status"] == "on_hold":
            await connected.post(f"/v1/orders/{each['id']}/release")

    async def none_lacks() -> bool:
        return not await market.oversold()

    await eventually(none_lacks, 60)
