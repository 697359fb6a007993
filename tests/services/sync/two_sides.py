"""Two sides of the same products: what is done to them, and what has to hold when it goes quiet."""

import asyncio
import random
from collections import Counter
from typing import Any

from tests.factories.sync import Connected
from tests.fakes.files import FilesShop
from tests.fakes.platforms import FakeShop, RemoteWrite
from tests.platforms.conftest import order
from tests.services.sync.dying import Deaths
from tests.services.sync.test_creating import category, publish
from tests.services.sync.test_orders_and_stock import try_again_now

PRODUCTS = 4
START = 10
FAULTS = ("throttle", "html", "half", "lost", "away")
# After these nobody knows whether what was asked for was done.
DOUBTFUL = ("html", "half", "lost", "away")
FEEDS = (
    "update_products",
    "export_products",
    "export_stock",
    "import_orders",
    "update_orders",
    "confirm_shipments",
)
OUT = ("export_products", "export_stock", "confirm_shipments")
# What fakes call a write to a product itself, or to one of its variants.
_OF_PRODUCTS = ("product", "products", "variant", "variation", "combinations")
MADE = "MITTEN-1"
_LONGEST_MOMENTS = 150
_ROUNDS = 14


class Story:
    """Edits, sales, faults and runs, as luck has it.

    `policies` says of title, brand, product_type and price whose each is.
    """

    def __init__(
        self, connected: Connected, fake: FakeShop, deaths: Deaths, luck: random.Random, policies: dict[str, str]
    ) -> None:
        self.connected, self.fake, self.deaths, self.luck, self.policies = connected, fake, deaths, luck, policies
        self.told: list[str] = []
        self.orders = 0
        self.moved: Counter[str] = Counter()
        self.shipped: dict[str, str] = {}
        self.is_made = False
        self.doubts = 0
        self._running: set[asyncio.Task[None]] = set()
        self.agreed = {number: self.there(number) for number in self.numbers()}
        self.begin()

    def begin(self) -> None:
        """It is quiet: count from here."""
        self.here: dict[tuple[int, str], Any] = {}
        self.over_there: dict[tuple[int, str], Any] = {}
        # How often somebody has given a reason to write, by product or stock level.
        self.reasons: Counter[int | str] = Counter()
        self.edits_there = 0
        self.moved_before = Counter(self.moved)
        self.doubts_before = self.doubts + self.deaths.count
        self.written_before = len(self.fake.writes)

    def numbers(self) -> range:
        return range(1, PRODUCTS + 1)

    # --- what is done

    async def step(self) -> None:
        steps = (
            *(self.edit_there, self.edit_here, self.edit_here, self.count_here, self.sell_there, self.ship_here),
            *(self.go_wrong, self.die, self.run, self.run, self.run, self.wait, self.take_files),
        )
        step = self.luck.choice(steps)
        self.told.append(step.__name__)
        await step()

    def number(self) -> int:
        return self.luck.choice(self.numbers())

    def word(self) -> str:
        return f"Word {self.luck.randint(1, 6)}"

    async def edit_there(self) -> None:
        """Whoever changes something over there has taken what lies for him before."""
        await self.take_files()
        number = self.number()
        fields, variants = self.fake.product(str(number))
        name = self.luck.choice(("title", "brand", "product_type", "price"))
        value: Any = {"amount": self.luck.randint(1000, 1003), "currency": "EUR"} if name == "price" else self.word()
        if name == "price":
            variants[str(number * 10)]["price"] = value
        else:
            fields[name] = value
        self.fake.put_product(str(number), fields, variants)
        self.over_there[number, name] = value
        self.edits_there += 1
        self.reasons[number] += self.policies[name] == "ours"

    async def edit_here(self) -> None:
        number = self.number()
        name = self.luck.choice([name for name, policy in self.policies.items() if policy != "remote"])
        await self.change_here(number, name)

    async def change_here(self, number: int, name: str) -> None:
        self.reasons[number] += 1
        if name == "price":
            amount = self.luck.randint(1000, 1003)
            self.here[number, name] = {"amount": amount, "currency": "EUR"}
            await self.connected.post("/v1/prices/bulk", [{"shop": "main", "sku": f"SCARF-{number}", "price": amount}])
            return
        self.here[number, name] = value = self.word()
        path = f"/v1/products/{(await self.ours(number))['id']}"
        answer = await self.connected.client.patch(path, json={name: value}, headers=self.connected.headers)
        assert answer.status_code == 200, answer.text

    async def count_here(self) -> None:
        await self.move_here(f"SCARF-{self.number()}", self.luck.choice((-1, 1, 2)))

    async def move_here(self, sku: str, delta: int) -> None:
        self.moved[sku] += delta
        self.reasons[sku] += 1
        await self.connected.post("/v1/stock/bulk", [{"sku": sku, "centre": "quay", "delta": delta}])

    async def sell_there(self) -> None:
        """A unit is sold over there: its stock goes down at once, and its order is there to be fetched."""
        await self.take_files()
        sku = f"SCARF-{self.number()}"
        if self.fake.stock(sku, "main") > 0 and self.moved[sku] > -START:
            self.orders += 1
            self.moved[sku] -= 1
            self.reasons[sku] += 1
            self.edits_there += 1
            self.fake.put_stock(sku, "main", self.fake.stock(sku, "main") - 1)
            self.fake.put_order(order(600 + self.orders, sku=sku, quantity=1))

    async def ship_here(self) -> None:
        """Goods of an order that was fetched leave."""
        taken = (await self.connected.get("/v1/imported-orders?first=200"))["items"]
        status = {each["id"]: each["status"] for each in (await self.connected.get("/v1/orders?first=200"))["items"]}
        waiting = [
            each
            for each in taken
            if status.get(each["order_id"]) == "processing" and each["external_id"] not in self.shipped
        ]
        if not waiting:
            return
        chosen = self.luck.choice(waiting)
        (bought,) = (await self.connected.get(f"/v1/orders/{chosen['order_id']}"))["lines"]
        number = f"TRACK-{chosen['external_id']}"
        self.shipped[chosen["external_id"]] = number
        lines = [{"sku": bought["sku"], "quantity": 1}]
        draft = {"order_id": chosen["order_id"], "lines": lines, "tracking_numbers": [number]}
        await self.connected.post("/v1/shipments", draft, status=201)

    async def make_here(self) -> None:
        """A product that the shop sells and the platform does not have."""
        self.is_made = True
        # It comes without a level of stock, which the next export says.
        self.reasons[MADE] += 1
        self.fake.put_category(["Warm"])
        values = {
            "title": "Mitten",
            "description_html": "<p>Ours.</p>",
            "category_ids": [await category(self.connected)],
            "variants": [{"sku": MADE}],
        }
        made = await self.connected.post("/v1/products", values, status=201)
        await self.connected.post("/v1/prices/bulk", [{"shop": "main", "sku": MADE, "price": 2000}])
        await publish(self.connected, made["id"])

    async def go_wrong(self) -> None:
        name = self.luck.choice(FAULTS)
        self.doubts += name in DOUBTFUL
        setattr(self.fake.faults, name, 1)
        if hasattr(self.fake, "drifts"):
            self.fake.drifts += 1

    async def die(self) -> None:
        self.deaths.strike(self.luck.randint(1, _LONGEST_MOMENTS))

    async def run(self) -> None:
        """Some feeds at once, and the story goes on meanwhile; of those that exclude each other one runs."""
        for kind in self.luck.sample(FEEDS, self.luck.randint(1, 3)):
            task = asyncio.create_task(self._run(kind))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def wait(self) -> None:
        """Until every run that was begun is over."""
        await asyncio.gather(*self._running)

    async def take_files(self) -> None:
        """A business that exchanges files takes what lies there for it."""
        if isinstance(self.fake, FilesShop):
            self.fake.take_files()

    async def _run(self, kind: str) -> None:
        path = f"/v1/feeds/{self.connected.feeds[kind]['id']}/run"
        answer = await self.connected.client.post(path, headers=self.connected.headers)
        if answer.status_code == 202:
            await self.connected.ended(answer.json()["id"], 90)
        else:
            assert answer.json()["code"] == "feed_is_running", answer.text

    # --- going quiet

    async def settle(self) -> None:
        """Nobody edits any more and nothing goes wrong: run everything until nothing is written any more."""
        await self.wait()
        for name in FAULTS:
            setattr(self.fake.faults, name, 0)
        self.deaths.spare()
        for _ in range(_ROUNDS):
            before = len(self.fake.writes)
            await self.connected.heard_all()
            await try_again_now(self.connected)
            for kind in FEEDS:
                await self._run(kind)
                await self.take_files()
            if len(self.fake.writes) == before and await self.connected.is_quiet():
                return
        raise AssertionError(f"it never goes quiet: {await self.connected.changes(state='queued')}")

    # --- looking

    async def ours(self, number: int) -> dict[str, Any]:
        """A product as it is here; a platform of files knows it by its own number."""
        products = await self.connected.products()
        return products.get(f"scarf-{number}") or products[str(number)]

    def there(self, number: int) -> dict[str, Any]:
        """What is compared of a product, as it is over there."""
        fields, variants = self.fake.product(str(number))
        lacks: frozenset[str] = getattr(self.fake, "without", frozenset())
        words = {name: fields[name] for name in ("title", "brand", "product_type") if name in fields.keys() - lacks}
        return words | {"price": variants[str(number * 10)]["price"]}

    def written(self) -> list[RemoteWrite]:
        return self.fake.writes[self.written_before :]

    def effective(self) -> tuple[Counter[int], int]:
        """How often something became different by our writes since it was quiet: by product, and of stock levels."""
        products: Counter[int] = Counter()
        levels = 0
        for write in self.written():
            if not write.has_changed:
                continue
            if write.kind.startswith("stock"):
                levels += 1
            elif write.kind in _OF_PRODUCTS and (number := self._number(write.external_id)) is not None:
                products[number] += 1
        return products, levels

    def levels_moved(self) -> int:
        """How many levels of stock are other ones than when it was quiet."""
        return sum(count != self.moved_before[sku] for sku, count in self.moved.items())

    def _number(self, external_id: str | None) -> int | None:
        """Which of the products an id is of, or one of its variant; None: of none of them."""
        of = {name: number for number in self.numbers() for name in (str(number), str(number * 10))}
        return of.get(external_id or "")
