"""Whatever is edited on either side, at any moment and with any luck, both sides agree when it goes quiet.

Products are edited and stock is counted here; products are edited and units are sold over there; goods leave, and a
product is made here. Meanwhile feeds run, requests are throttled, answers are lost, cut or nonsense, events are heard
twice, pages drift, and workers die (`dying.py`). Edits, faults, deaths and the order of the runs come from a seed;
`deploy/test --full` tries more of them. Then it goes quiet, and

* **both sides agree, as the policies say**: a field that is ours is what was said here last, one that is the platform's
  what was said there last; one of both is what the only one who changed it has said, or what one of the two has. Stock
  is what was counted less what was sold.
* **nothing was created twice, nothing deleted**: the same products and variants are there, the one that was made here
  is there once, every order is here once, every shipment is there once.
* **no write was sent that changed nothing.** A write is idle if the platform took it and had all of its values when it
  came. One that the platform knows by its operation key is a repeat, which no platform does twice. Where a platform has
  neither keys nor compare-and-set an adapter looks first, and a repeat is not sent. What is left: over there somebody
  set the very value between our last look and our write; or a write whose answer was lost was wanted anew before its
  repeat. So idle writes are at most the edits over there and the lost answers and deaths, and none where
  nothing of both meets: see below.
* **the number of writes is the minimum.** A unit is what a platform takes as one: a product with its own fields, the
  variant of a product, a level of stock. While others write, a unit has at most one effective write for each time that
  somebody gave a reason: an edit here, and over there one of a field that is ours, or a sale; and the level of what was
  made here is said once. Where all that happens between two quiet moments is said here, it is exact: one effective
  write for each unit that is different in the end, however often it was edited, and whatever was lost meanwhile; none
  for the others; no idle one; and no more repeats and refusals than answers were lost and workers died.
"""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy import topology
from services.sync.use_cases.sessions import folder_of
from tests.conftest import scale
from tests.doors import Client
from tests.factories.sync import Connected
from tests.fakes.files import FilesShop
from tests.fakes.platforms import FakeShop
from tests.platforms.conftest import FAKES
from tests.services.sync.dying import Deaths, ask_again_soon, deliver_twice
from tests.services.sync.test_creating import configure
from tests.services.sync.test_orders_and_stock import set_up
from tests.services.sync.test_products_out import rule
from tests.services.sync.two_sides import MADE, OUT, PRODUCTS, START, Story

pytestmark = [pytest.mark.feature("SYN-4", "SYN-5", "SYN-7", "SYN-8", "INV-3"), pytest.mark.timeout(900)]

STEPS = 30
SAID_HERE = 12
SEEDS = range(max(1, int(20 * scale())))
# Platforms that others stand for in most of what is tried here: every fourth seed.
_ALIKE = ("agent", "files by SFTP", "woocommerce before 10.3")
STORIES = [(name, seed) for name in sorted(FAKES) for seed in SEEDS[:: 4 if name in _ALIKE else 1]]
# How likely events are heard twice.
_TWICE = 0.3


@pytest.fixture(autouse=True)
def _whoever_is_away_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_again_soon(monkeypatch)


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeShop]:
    shop = FAKES[request.param]()
    yield shop
    await shop.stop()


@pytest.fixture
async def connected(process: topology.Surrounded, client: Client, fake: FakeShop) -> Connected:
    """A merchant who is connected; one who exchanges files has his folder for it."""
    found = Connected(process, client, fake)
    if isinstance(fake, FilesShop):
        fake.folder = folder_of(found.organization_id)
    await fake.start()
    return await found.open()


async def begun(connected: Connected, fake: FakeShop, deaths: Deaths, luck: random.Random) -> Story:
    """Both sides have the same, and may write."""
    policies = {"title": "both", "brand": "ours", "product_type": "remote", "price": luck.choice(("ours", "remote"))}
    await set_up(connected, fake, PRODUCTS)
    conflict = luck.choice(("remote_wins", "ours_wins"))
    rules: dict[str, Any] = {
        "variant__price" if name == "price" else name: {"policy": policy} for name, policy in policies.items()
    }
    rules["title"]["conflict"] = conflict
    await rule(connected, **rules)
    await configure(connected, create_products=True)
    await connected.go_live()
    story = Story(connected, fake, deaths, luck, policies)
    await story.settle()
    story.begin()
    return story


@pytest.mark.parametrize(("fake", "seed"), STORIES, indirect=["fake"])
async def test_both_sides_agree_when_it_goes_quiet(
    connected: Connected,
    fake: FakeShop,
    seed: int,
    deaths: Deaths,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    luck = random.Random(request.node.callspec.id)
    deliver_twice(monkeypatch, lambda: luck.random() < _TWICE)
    story = await begun(connected, fake, deaths, luck)

    made_at = luck.randrange(STEPS)
    for number in range(STEPS):
        if number == made_at:
            await story.make_here()
        await story.step()
    await story.settle()

    await assert_agreed(story)
    assert_no_more_than_reasons(story)

    await say_here(story)
    expected = await assert_agreed(story)
    assert_exact(story, expected)


async def say_here(story: Story) -> None:
    """Only what is said here changes; all of it is heard, and then it goes out, as well as it can."""
    story.agreed = {number: story.there(number) for number in story.numbers()}
    story.begin()
    for _ in range(SAID_HERE):
        await story.luck.choice((story.edit_here, story.edit_here, story.count_here))()
    await story.connected.heard_all()
    for kind in (*OUT, *OUT):
        await story.luck.choice((story.go_wrong, story.die))()
        await story._run(kind)
    await story.settle()


async def assert_agreed(story: Story) -> dict[int, dict[str, Any]]:
    """Both sides have the same, which the policies allow. Returns what the products are, by number."""
    connected, fake = story.connected, story.fake
    assert len(await connected.products()) == PRODUCTS + story.is_made
    found: dict[int, dict[str, Any]] = {}
    for number in story.numbers():
        there, mine = story.there(number), await story.ours(number)
        price = (await connected.get(f"/v1/prices/resolve?shop=main&sku=SCARF-{number}"))["price"]
        assert {name: mine[name] for name in there if name != "price"} | {"price": price} == there, story.told
        for name, value in there.items():
            assert value in allowed(story, number, name), (number, name, story.told)
        assert list(fake.product(str(number))[1]) == [str(number * 10)], story.told
        found[number] = there
    stock = {each["sku"]: each for each in (await connected.get("/v1/stock"))["items"]}
    for number in story.numbers():
        sku = f"SCARF-{number}"
        assert stock[sku]["available"] == fake.stock(sku, "main") == START + story.moved[sku], (sku, story.told)
    await assert_once(story)
    return found


def allowed(story: Story, number: int, name: str) -> list[Any]:
    """What a field may be now, by whose it is and who has said what since it was quiet."""
    policy, before = story.policies[name], story.agreed[number][name]
    said = {"here": story.here.get((number, name)), "there": story.over_there.get((number, name))}
    heard = {"ours": ("here",), "remote": ("there",), "both": ("here", "there")}[policy]
    return [said[side] for side in heard if said[side] is not None] or [before]


async def assert_once(story: Story) -> None:
    """Nothing is there twice, and nothing is missing."""
    connected, fake = story.connected, story.fake
    there = [variant["sku"] for each in fake.product_ids() for variant in fake.product(each)[1].values()]
    made = [MADE] if story.is_made else []
    assert sorted(there) == sorted([f"SCARF-{number}" for number in story.numbers()] + made), story.told
    orders = (await connected.get("/v1/imported-orders?first=200"))["items"]
    assert sorted(each["external_id"] for each in orders) == [str(601 + place) for place in range(story.orders)]
    assert len((await connected.get("/v1/orders?first=200"))["items"]) == story.orders
    for external_id, number in story.shipped.items():
        told = [each["tracking_numbers"] for each in fake.shipments(external_id)]
        assert told == [[number]], (external_id, told, story.told)


def assert_no_more_than_reasons(story: Story) -> None:
    products, levels = story.effective()
    for number, count in products.items():
        assert count <= story.reasons[number], (number, count, story.reasons, story.written(), story.told)
    wanted = {name: count for name, count in story.reasons.items() if isinstance(name, str)}
    of_levels = [write.external_id for write in story.written() if write.kind.startswith("stock") and write.has_changed]
    assert levels <= sum(wanted.values()), (wanted, of_levels, story.told)
    idle = [write for write in story.written() if write.is_idle]
    doubts = story.doubts + story.deaths.count - story.doubts_before
    assert len(idle) <= story.edits_there + doubts, (idle, story.told)


def assert_exact(story: Story, now: dict[int, dict[str, Any]]) -> None:
    products, levels = story.effective()
    expected = {number: units_between(story.agreed[number], now[number]) for number in story.numbers()}
    assert {number: products[number] for number in story.numbers()} == expected, (story.written(), story.told)
    assert levels == story.levels_moved(), (story.written(), story.told)
    assert [write for write in story.written() if write.is_idle] == [], story.told
    again = [write for write in story.written() if write.is_repeat or write.is_refused]
    assert len(again) <= story.doubts + story.deaths.count - story.doubts_before, (again, story.told)


def units_between(before: dict[str, Any], after: dict[str, Any]) -> int:
    """How many units of a product are different: its own fields, and its variant."""
    changed = {name for name, value in after.items() if before[name] != value}
    return bool(changed - {"price"}) + ("price" in changed)
