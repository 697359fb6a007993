"""Callbacks while gateway, workers, Redis and PostgreSQL are killed at random: nothing is lost, nothing done twice."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.bench.system import System, running_system
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from shared.contracts.payments.shapes import PaymentGateway
from tests.conftest import scale
from tests.factories import gateways as g
from tests.faults.callbacks import Post, Story, tell
from tests.faults.killing import kill
from tests.faults.shopping import insist, order_body, read, stock_up
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

CALLBACKS = int(5_000 * scale())
# A story has some eight deliveries for each order.
ORDERS = CALLBACKS // 8
STRIKES = max(5, int(70 * scale()))
_SENDERS = 8
_BUYERS = 4
_VICTIMS = ("redis", "postgres", "serve gateway", "work payments", "serve payments")
# What is waited for in vain becomes a person's matter after this, in this system.
_WAIT = "PT15S"
_SETTLED_SECONDS = 900.0
_GOES_ON_SECONDS = 180.0


@dataclass
class Servers:
    """The PostgreSQL and Redis that the system was given, and that nobody else starts again."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="crossdock-callbacks-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres, EmbeddedRedis(Path(folder)) as redis:
            yield Servers(postgres, redis)


@pytest.fixture(scope="module")
def system(servers: Servers) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", servers.postgres.url)
        patch.setenv("REDIS_URL", servers.redis.url)
        patch.setenv("CROSSDOCK_CALLBACK_WAIT", _WAIT)
        with running_system("distributed", workers=1) as started:
            yield started


@pytest.fixture(scope="module")
def gateways(system: System) -> list[PaymentGateway]:
    """A gateway of every provider."""
    return [_open_gateway(system, provider) for provider in g.PROVIDERS]


def _open_gateway(system: System, provider: str) -> PaymentGateway:
    secrets = [] if provider == "paypal" else [g.secret_of(provider)]
    draft = {"shop": "main", "provider": provider, "mode": "test", "settings": g.settings_of(provider)}
    made = system.ask("POST", "/v1/payment-gateways", json={**draft, "secrets": secrets})
    return PaymentGateway.model_validate(made)


@dataclass
class Till:
    """Whoever buys and whoever pays: what was placed, and how many callbacks were answered."""

    http: httpx.AsyncClient
    system: System
    sku: str
    price: int
    orders: dict[str, str] = field(default_factory=dict)
    answered: int = 0

    async def place(self, key: str) -> str:
        """Place an order, insisting. Returns its number."""
        headers = {**self.system.headers("storefront"), "Idempotency-Key": key}
        order = await insist(self.http, "/v1/orders", headers, order_body(len(self.orders), self.sku, self.price), 201)
        self.orders[order["number"]] = order["id"]
        return str(order["number"])

    async def place_all(self, numbers: Sequence[str]) -> None:
        """Place as many orders as there are numbers, which are those that they are given."""
        await _at_once(_BUYERS, (self.place(f"callbacks-{number}") for number in numbers))
        assert set(numbers) <= set(self.orders)

    async def deliver(self, post: Post) -> None:
        """Post a callback until it is answered as it should be, as a provider does."""
        async with asyncio.timeout(_GOES_ON_SECONDS):
            while not await self.try_once(post):
                await asyncio.sleep(0.1)

    async def try_once(self, post: Post) -> bool:
        """Whether it was answered. What could not be stored is 503 and nothing else."""
        post.attempts += 1
        told = post.sample
        try:
            url = f"/callbacks/{post.sender.gateway.id}"
            answer = await self.http.post(url, content=told.body, headers=told.headers)
        except httpx.TransportError:
            return False
        assert answer.status_code in (post.expected, 503), (answer.status_code, answer.text)
        if answer.status_code == 503:
            return False
        post.accepted += 1
        self.answered += 1
        return True

    async def read(self, path: str, **params: Any) -> Any:
        """What the API answers to the operator, insisting."""
        return await read(self.http, path, self.system.headers("admin"), **params)

    async def read_all(self, path: str, **params: Any) -> list[Any]:
        """Every page of a list."""
        items: list[Any] = []
        following: dict[str, Any] = {}
        while True:
            page = await self.read(path, first=200, **params, **following)
            items += page["items"]
            if page["next"] is None:
                return items
            following = {"after": page["next"]}


@pytest.fixture
async def till(system: System) -> Any:
    sku, price = await asyncio.to_thread(stock_up, system, ORDERS * 3)
    # A connection that idles about as long as the server keeps it may be closed just as it is used again.
    limits = httpx.Limits(keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=str(system.http.base_url), timeout=30, limits=limits) as http:
        yield Till(http, system, sku, price)


def _following(number: str, count: int) -> list[str]:
    """The numbers that the next orders of the same shop are given."""
    digits = len(number) - len(number.rstrip("0123456789"))
    prefix, last = number[:-digits], int(number[-digits:])
    return [f"{prefix}{last + step:0{digits}}" for step in range(1, count + 1)]


@pytest.mark.feature("PAY-2", "PAY-3", "PAY-4", "PAY-5", "GAT-7")
async def test_every_callback_has_its_record_and_its_end_and_the_ledger_is_the_models(
    servers: Servers, till: Till, gateways: list[PaymentGateway]
) -> None:
    dice = random.Random(11)
    following = _following(await till.place("the first"), ORDERS + ORDERS // 10)
    story = tell(gateways, following[:ORDERS], following[ORDERS:], till.price, dice)
    assert len(story.posts) + len(story.late) >= CALLBACKS
    # Some are told of before they are placed.
    buying = asyncio.create_task(_buy_behind(till, story))
    await _post_under_strikes(till, servers, dice, story.posts)
    await buying
    await _post_all(till, story.late)
    await until(lambda: _has_settled(till, story), _SETTLED_SECONDS)
    _check_records(story, await till.read_all("/v1/callbacks"))
    await _check_ledger(till, story)


async def _post_all(till: Till, posts: Sequence[Post]) -> None:
    await _at_once(_SENDERS, (till.deliver(post) for post in posts))


async def _at_once(most: int, work: Iterable[Awaitable[object]]) -> None:
    """Do all of it in this order, `most` at the same time."""
    waiting = iter(work)

    async def do_some() -> None:
        for each in waiting:
            await each

    await asyncio.gather(*(do_some() for _ in range(most)))


async def _buy_behind(till: Till, story: Story) -> None:
    """Place the orders when a quarter of what there is to say of them was said."""

    async def is_time() -> bool:
        return till.answered >= len(story.posts) // 4

    await until(is_time, _GOES_ON_SECONDS)
    await till.place_all(story.numbers)


async def _post_under_strikes(till: Till, servers: Servers, dice: random.Random, posts: Sequence[Post]) -> None:
    """Post in portions and strike in the middle of each: every program and server in turn, each round anew."""
    victims: list[str] = []
    for strike in range(STRIKES):
        portion = posts[strike * len(posts) // STRIKES : (strike + 1) * len(posts) // STRIKES]
        wanted = till.answered + len(portion) // 3
        posting = asyncio.create_task(_post_all(till, portion))

        async def is_at_work(posting: "asyncio.Task[None]" = posting, wanted: int = wanted) -> bool:
            return posting.done() or till.answered >= wanted

        await until(is_at_work, _GOES_ON_SECONDS)
        victims = victims or dice.sample(_VICTIMS, len(_VICTIMS))
        await _strike(till.system, servers, dice, victims.pop())
        await posting


async def _strike(system: System, servers: Servers, dice: random.Random, victim: str) -> None:
    """Kill it; servers are away for a moment, programs come back by themselves."""
    if victim not in ("redis", "postgres"):
        await asyncio.to_thread(kill, system, victim)
        return
    server = servers.redis if victim == "redis" else servers.postgres
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(dice.uniform(0.0, 1.0))
    await asyncio.to_thread(server.start)


async def _has_settled(till: Till, story: Story) -> bool:
    """Whether every callback has come to its end."""
    for status in ("received", "waiting", "retrying"):
        if (await till.read("/v1/callbacks", status=status, first=1))["items"]:
            return False
    failed = {_name(record) for record in await till.read_all("/v1/callbacks", status="failed")}
    return {post for post in story.callbacks if post.name in failed} == story.strays


def _check_records(story: Story, records: list[Any]) -> None:
    """Each callback has one record, each record is of a callback; each has its end, and has come to it once."""
    found = {_name(record): record for record in records}
    assert len(found) == len(records)
    posts = {post.name: post for post in story.callbacks}
    assert len(posts) == len(story.callbacks)
    assert set(found) == set(posts)
    for name, post in posts.items():
        record = found[name]
        assert record["status"] in post.ends, record
        # An answer that was lost may stand for a delivery that was not.
        assert post.accepted <= record["deliveries"] <= post.attempts, (record, post)
        ends = [attempt for attempt in record["attempts"] if attempt["status"] in ("processed", "ignored")]
        assert len(ends) == (0 if post.ends & {"failed", "invalid"} else 1), record
    assert any(attempt["status"] == "waiting" for record in records for attempt in record["attempts"])


def _name(record: Any) -> tuple[str, str, bool]:
    return record["gateway"], record["event_id"], record["is_verified"]


async def _check_ledger(till: Till, story: Story) -> None:
    """Payments knows what the model does, and the orders have heard it."""
    payments = await till.read_all("/v1/payments")
    known = {(payment["order_number"], payment["provider"]): _totals(payment) for payment in payments}
    assert (len(payments), known) == (len(known), story.ledger())
    await _at_once(_SENDERS, (_has_heard(till, number, totals) for (number, _), totals in known.items()))


async def _has_heard(till: Till, number: str, totals: tuple[str, int, int]) -> None:
    """Until the order goes on, paid and given back as its payment is."""

    async def is_so() -> bool:
        order = await till.read(f"/v1/orders/{till.orders[number]}")
        told = order["status"], order["paid"]["amount"], order["refunded"]["amount"]
        return bool(told == ("processing", *totals[1:]))

    await until(is_so, _SETTLED_SECONDS)


def _totals(payment: Any) -> tuple[str, int, int]:
    return payment["state"], payment["captured"]["amount"], payment["refunded"]["amount"]


@pytest.mark.feature("PAY-2", "PAY-3")
async def test_with_redis_away_callbacks_are_stored_and_answered_also_by_a_gateway_that_starts(
    servers: Servers, till: Till, gateways: list[PaymentGateway]
) -> None:
    number = await till.place("without redis")
    story = tell(gateways[:1], [number], [], till.price, random.Random(3))
    posts = [*story.posts, *story.late]
    await asyncio.to_thread(servers.redis.kill)
    try:
        # The first word of each is answered at the first attempt; then the gateway dies, and is back without Redis.
        for post in posts[: len(posts) // 2]:
            assert await till.try_once(post)
        await asyncio.to_thread(kill, till.system, "serve gateway")
        await _post_all(till, posts[len(posts) // 2 :])
        stored = await _stored(servers)
        for post in story.callbacks:
            gateway, event_id, is_genuine = post.name
            assert stored[gateway, event_id, is_genuine] == ("received" if is_genuine else "invalid")
    finally:
        await asyncio.to_thread(servers.redis.start)
    await until(lambda: _has_settled(till, story), _SETTLED_SECONDS)
    (payment,) = [each for each in await till.read_all("/v1/payments") if each["order_number"] == number]
    assert {(number, payment["provider"]): _totals(payment)} == story.ledger()


async def _stored(servers: Servers) -> dict[tuple[str, str, bool], str]:
    """The status of each stored callback: with Redis away, nobody but PostgreSQL can tell."""
    connection = await asyncpg.connect(servers.postgres.url)
    try:
        rows = await connection.fetch("SELECT gateway_id, event_id, is_verified, status FROM payments.callbacks")
    finally:
        await connection.close()
    return {(str(row["gateway_id"]), row["event_id"], row["is_verified"]): row["status"] for row in rows}
