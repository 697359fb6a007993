"""Whatever is edited on either side, at any moment and with any luck, both sides agree when it goes quiet.

The edits, the faults and the order of the runs come from a seed; `deploy/test --full` tries more of them.
"""

import asyncio
import random
from typing import Any

import pytest

import services.sync.platforms.agent.client as agent
import services.sync.platforms.custom.client as custom
import services.sync.platforms.woocommerce.client as woocommerce
from services.sync.use_cases import executing
from tests.conftest import scale
from tests.factories.sync import Connected
from tests.fakes.agent import AgentShop
from tests.fakes.custom import CustomShop
from tests.fakes.magento import MagentoShop
from tests.fakes.platforms import FakeShop
from tests.fakes.prestashop import PrestaShop
from tests.fakes.shopify import ShopifyShop
from tests.fakes.woocommerce import WooShop
from tests.platforms.conftest import order
from tests.services.sync.test_orders_and_stock import set_up, try_again_now
from tests.services.sync.test_products_out import rule

pytestmark = [pytest.mark.feature("SYN-4", "SYN-5", "SYN-7", "INV-3"), pytest.mark.timeout(900)]

PRODUCTS = 4
STEPS = 25
SEEDS = range(max(1, int(20 * scale())))
# Each seed with the custom protocol, every other one with the platforms, every fourth with an agent.
STORIES = [
    *((CustomShop, seed) for seed in SEEDS),
    *((shop, seed) for shop in (MagentoShop, PrestaShop, ShopifyShop, WooShop) for seed in SEEDS[::2]),
    *((AgentShop, seed) for seed in SEEDS[::4]),
]
FAULTS = ("throttle", "html", "half", "lost", "away")
FEEDS = ("update_products", "export_products", "export_stock", "import_orders", "update_orders")
RULES = {
    "title": {"policy": "both", "conflict": "remote_wins"},
    "brand": {"policy": "ours"},
    "product_type": {"policy": "remote"},
    "variant__price": {"policy": "remote"},
}


class Story:
    """Two sides of the same products, and what is done to them."""

    def __init__(self, connected: Connected, fake: FakeShop, seed: int) -> None:
        self.connected, self.fake, self.luck = connected, fake, random.Random(seed)
        self.orders = 0
        self.told: list[str] = []

    async def step(self) -> None:
        step = self.luck.choice(
            (
                self.edit_there,
                self.edit_here,
                self.count_here,
                self.sell_there,
                self.go_wrong,
                self.run,
                self.run,
                self.run,
            )
        )
        self.told.append(step.__name__)
        await step()

    def number(self) -> int:
        return self.luck.randint(1, PRODUCTS)

    def word(self) -> str:
        return f"Word {self.luck.randint(1, 6)}"

    async def edit_there(self) -> None:
        number = str(self.number())
        fields, variants = self.fake.product(number)
        changes = {self.luck.choice(("title", "brand", "product_type")): self.word()}
        for variant in variants.values():
            variant["price"] = {"amount": self.luck.randint(1000, 1003), "currency": "EUR"}
        self.fake.put_product(number, fields | changes, variants)

    async def edit_here(self) -> None:
        ours = (await self.connected.products())[f"scarf-{self.number()}"]
        change = {self.luck.choice(("title", "brand")): self.word()}
        path = f"/v1/products/{ours['id']}"
        answer = await self.connected.client.patch(path, json=change, headers=self.connected.headers)
        assert answer.status_code == 200, answer.text

    async def count_here(self) -> None:
        row = {"sku": f"SCARF-{self.number()}", "centre": "quay", "delta": self.luck.choice((-1, 1, 2))}
        await self.connected.post("/v1/stock/bulk", [row])

    async def sell_there(self) -> None:
        """A unit is sold over there: its stock goes down at once, and its order is there to be fetched."""
        sku = f"SCARF-{self.number()}"
        if self.fake.stock(sku, "main") > 0:
            self.orders += 1
            self.fake.put_stock(sku, "main", self.fake.stock(sku, "main") - 1)
            self.fake.put_order(order(600 + self.orders, sku=sku, quantity=1))

    async def go_wrong(self) -> None:
        setattr(self.fake.faults, self.luck.choice(FAULTS), 1)

    async def run(self) -> None:
        """Some feeds at once; of those that exclude each other one runs."""
        kinds = self.luck.sample(FEEDS, self.luck.randint(1, 3))
        await asyncio.gather(*map(self._run, kinds))

    async def _run(self, kind: str) -> None:
        path = f"/v1/feeds/{self.connected.feeds[kind]['id']}/run"
        answer = await self.connected.client.post(path, headers=self.connected.headers)
        if answer.status_code == 202:
            await self.connected.ended(answer.json()["id"], 90)
        else:
            assert answer.json()["code"] == "feed_is_running", answer.text

    async def settle(self) -> None:
        """Nobody edits any more and nothing goes wrong: run everything until nothing is written any more."""
        for name in FAULTS:
            setattr(self.fake.faults, name, 0)
        for _ in range(12):
            before = len(self.fake.writes)
            await self.connected.heard_all()
            await try_again_now(self.connected)
            for kind in FEEDS:
                await self._run(kind)
            if len(self.fake.writes) == before and await self.connected.is_quiet():
                return
        raise AssertionError(f"it never goes quiet: {await self.connected.changes(state='queued')}")


@pytest.fixture(autouse=True)
def _whoever_is_away_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long is waited by itself is proved elsewhere; here only that it goes on."""
    monkeypatch.setattr(executing, "_FIRST_RETRY_SECONDS", 0.2)
    for client in (agent, custom, woocommerce):
        monkeypatch.setattr(client, "_REST_SECONDS", 0.5)


@pytest.mark.parametrize(("fake", "seed"), STORIES, indirect=["fake"])
async def test_both_sides_agree_when_it_goes_quiet(connected: Connected, fake: FakeShop, seed: int) -> None:
    await set_up(connected, fake, PRODUCTS)
    await rule(connected, **RULES)
    await connected.go_live()
    story = Story(connected, fake, seed)
    for _ in range(STEPS):
        await story.step()
    await story.settle()

    ours = await connected.products()
    assert sorted(ours) == [f"scarf-{number}" for number in range(1, PRODUCTS + 1)], story.told
    for number in range(1, PRODUCTS + 1):
        fields, variants = fake.product(str(number))
        mine = ours[f"scarf-{number}"]
        compared = {"title", "brand", "product_type"} - getattr(fake, "without", frozenset())
        assert {name: mine[name] for name in compared} == {name: fields[name] for name in compared}, story.told
        assert list(variants) == [str(number * 10)], story.told
        price = (await connected.get(f"/v1/prices/resolve?shop=main&sku=SCARF-{number}"))["price"]
        assert price == variants[str(number * 10)]["price"], story.told
    stock: dict[str, Any] = {each["sku"]: each for each in (await connected.get("/v1/stock"))["items"]}
    for sku, level in stock.items():
        assert fake.stock(sku, "main") == max(level["available"], 0), (sku, level, story.told)
    orders = (await connected.get("/v1/imported-orders?first=200"))["items"]
    assert len(orders) == story.orders, story.told
