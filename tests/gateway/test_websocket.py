"""GraphQL over WebSocket, with a real server and a real client: who may follow what, and how it ends."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy import topology
from deploy.topology import SOCKETS
from gateway.graphql import websocket
from gateway.graphql.app import schema
from gateway.graphql.persisted import Operations
from gateway.live import MOST_WAITING, LiveEvents, TooSlow
from shared.bus.envelope import Caller
from shared.contracts.inventory.messages import SetStockPolicy
from shared.contracts.orders.messages import HoldOrder
from shared.identifiers import new_id
from shared.messaging.outbox import SentEvent
from tests.conftest import Servers
from tests.doors import Client, caller_of, eventually
from tests.factories.catalog import Catalog, csv_file, shopify_row
from tests.factories.orders import Seller
from tests.gateway.credentials import founded, token_of

pytestmark = pytest.mark.feature("GAT-2", "GAT-3")

MOVED = "subscription { orderMoved { orderId number before after version } }"


@pytest.fixture(scope="module")
async def address(application: FastAPI, working: None) -> AsyncIterator[str]:
    """Where a real server serves the application of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None, **SOCKETS))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/graphql"
        server.should_exit = True
        await serving


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00"}, {"MUG": 100})


class Follower:
    """A client of the protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, kind: str, **message: Any) -> None:
        await self.connection.send(orjson.dumps({"type": kind, **message}).decode())

    async def hear(self, timeout_seconds: float = 60.0) -> dict[str, Any]:
        async with asyncio.timeout(timeout_seconds):
            heard: dict[str, Any] = orjson.loads(await self.connection.recv())
            return heard

    async def hear_until(self, is_it: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All that is heard, up to the first for which this holds."""
        heard = [await self.hear()]
        while not is_it(heard[-1]):
            heard.append(await self.hear())
        return heard

    async def begin(self, payload: dict[str, Any] | None = None) -> "Follower":
        await self.say("connection_init", **({"payload": payload} if payload else {}))
        assert await self.hear() == {"type": "connection_ack"}
        return self

    async def follow(self, query: str, operation: str = "1", **variables: Any) -> None:
        await self.say("subscribe", id=operation, payload={"query": query, "variables": variables})
        # The answer to a later message says that this one was taken.
        await self.say("ping")
        assert await self.hear() == {"type": "pong"}

    async def closed(self, timeout_seconds: float = 60.0) -> tuple[int, str]:
        """How the connection ends; what is still told before is passed over."""
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        assert self.connection.close_code is not None, "it broke off"
        return self.connection.close_code, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def connected(address: str, headers: dict[str, str] | None = None) -> AsyncIterator[Follower]:
    protocols: Any = [websocket.PROTOCOL]
    async with connect(address, subprotocols=protocols, additional_headers=headers or {}) as connection:
        yield Follower(connection)


async def moved_once(seller: Seller, live: LiveEvents) -> dict[str, Any]:
    """Hold an order once somebody of the organization follows; the number and status it then has."""

    async def is_followed() -> bool:
        return any(
            event.is_set() for name, event in live._heard_channels.items() if str(seller.organization_id) in name
        )

    await eventually(is_followed)
    order = await seller.place(MUG=1)
    await seller.ask(HoldOrder(order_id=order.id, reason="test"))
    return {"number": order.number, "id": str(order.id)}


async def test_orders_are_followed_as_they_move(address: str, client: Client, seller: Seller) -> None:
    live: LiveEvents = client.application.state.live
    async with connected(address) as follower:
        await follower.begin(client.speaking_as(seller.caller))
        await follower.follow(MOVED)
        order = await moved_once(seller, live)
        told = await follower.hear()
        assert (told["id"], told["type"]) == ("1", "next")
        moved = told["payload"]["data"]["orderMoved"]
        assert (moved["orderId"], moved["number"]) == (order["id"], order["number"])
        assert (moved["before"], moved["after"]) == ("pending", "on_hold")
        await follower.say("complete", id="1")
        await follower.follow("subscription($id: UUID) { orderMoved(orderId: $id) { number } }", "1", id=str(new_id()))
        await follower.follow("subscription { orderPlaced { number status } }", "2")
        second = await moved_once(seller, live)
        told = await follower.hear()
        assert (told["id"], told["payload"]["data"]["orderPlaced"]["number"]) == ("2", second["number"])


IMPORT = """subscription ($id: UUID!) {
  importProgress(importId: $id) { uuid state counters harms { what count of } confirmedBy { kind } }
}"""


@pytest.mark.feature("CAT-6", "CAT-9")
async def test_an_import_is_followed_to_where_it_is_held_and_again_to_its_end(
    address: str, process: topology.Surrounded, client: Client
) -> None:
    catalog = Catalog(process)
    await catalog.open_shop()
    admin = client.speaking_as(caller_of(catalog.organization_id))

    async def progress(follower: Follower, import_id: str) -> list[dict[str, Any]]:
        await follower.say("subscribe", id=import_id, payload={"query": IMPORT, "variables": {"id": import_id}})
        heard = await follower.hear_until(lambda message: message["type"] != "next")
        assert heard.pop() == {"type": "complete", "id": import_id}
        return [message["payload"]["data"]["importProgress"] for message in heard]

    async def started(path: str, **sent: Any) -> str:
        answer = await client.post(f"/v1/imports{path}", headers=admin, **sent)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async with connected(address) as follower:
        await follower.begin(admin)
        first = await progress(follower, await started("", content=csv_file([shopify_row(f"p-{n}") for n in range(4)])))
        assert (first[-1]["state"], first[-1]["counters"]["products_inserted"]) == ("SUCCEEDED", 4)
        assert all(before != after for before, after in pairwise(first)), "what is as it was is not said again"
        held_id = await started("?mode=delete", content=b"Handle\np-1\np-2\n")
        held = (await progress(follower, held_id))[-1]
        assert (held["state"], held["harms"]) == ("HELD", [{"what": "products_archived", "count": 2, "of": 4}])
        assert (held["uuid"], held["confirmedBy"]) == (held_id, None)
        await started(f"/{held_id}/confirm")
        done = (await progress(follower, held_id))[-1]
        assert (done["state"], done["counters"]["products_archived"]) == ("SUCCEEDED", 2)
        assert done["confirmedBy"] == {"kind": "client"}
        # Neither others, nor what is none.
        await follower.say("subscribe", id="none", payload={"query": IMPORT, "variables": {"id": str(new_id())}})
        (refused,) = await follower.hear_until(lambda message: message["type"] in ("error", "next"))
        assert problem_of(refused) == "import_not_found"
    async with connected(address) as stranger:
        await stranger.begin(client.speaking_as(caller_of(new_id())))
        await stranger.say("subscribe", id="1", payload={"query": IMPORT, "variables": {"id": held_id}})
        assert problem_of(await stranger.hear()) == "import_not_found"


def problem_of(message: dict[str, Any]) -> str:
    """The code of the one problem that a message tells."""
    told = message["payload"]
    (problem,) = told if message["type"] == "error" else told["errors"]
    code: str = problem["extensions"]["code"]
    return code


async def test_where_only_registered_operations_are_run_a_socket_runs_no_other(
    address: str, application: FastAPI, client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    [door] = [route for route in application.router.routes if isinstance(route, WebSocketRoute)]
    monkeypatch.setattr(door.endpoint, "_known", Operations(schema(), only_registered=True))
    async with connected(address, client.speaking_as(seller.caller)) as follower:
        await follower.begin()
        for query in ("{ orders { nodes { number } } }", MOVED):
            await follower.say("subscribe", id="q", payload={"query": query})
            told = await follower.hear()
            assert (told["id"], told["type"]) == ("q", "error")
            assert told["payload"][0]["extensions"]["code"] == "operation_not_registered"


async def test_an_operation_that_is_not_in_the_document_is_an_error_of_its_own(
    address: str, client: Client, seller: Seller
) -> None:
    async with connected(address, client.speaking_as(seller.caller)) as follower:
        await follower.begin()
        for query, name in (("query A { __typename } query B { __typename }", None), ("query A { __typename }", "C")):
            await follower.say("subscribe", id="q", payload={"query": query, "operationName": name})
            told = await follower.hear()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "unknown_operation")


async def test_a_header_speaks_as_well_and_queries_are_answered(address: str, client: Client, seller: Seller) -> None:
    async with connected(address, client.speaking_as(seller.caller)) as follower:
        await follower.begin()
        await follower.say("subscribe", id="q", payload={"query": "{ orders { nodes { number } } }"})
        assert await follower.hear() == {
            "id": "q",
            "type": "next",
            "payload": {"data": {"orders": {"nodes": []}}, "extensions": {"cost": {"requested": 60, "limit": 10_000}}},
        }
        assert await follower.hear() == {"id": "q", "type": "complete"}
        await follower.say("subscribe", id="q", payload={"query": "subscription { nonsense }"})
        refused = await follower.hear()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "invalid_document")
        progress = "subscription ($id: UUID!) { jobProgress(jobId: $id) { state } }"
        await follower.say("subscribe", id="q", payload={"query": progress, "variables": {"id": str(new_id())}})
        failed = await follower.hear()
        assert (failed["type"], failed["payload"][0]["extensions"]["code"]) == ("error", "job_not_found")


async def test_nobody_hears_of_others(address: str, client: Client, seller: Seller, stranger: Caller) -> None:
    live: LiveEvents = client.application.state.live
    here = caller_of(seller.organization_id, "orders:read", shop_ids=[seller.shop.id])
    elsewhere = caller_of(seller.organization_id, "orders:read", shop_ids=[new_id()])
    async with contextlib.AsyncExitStack() as stack:
        followers = {}
        for name, caller in (("here", here), ("elsewhere", elsewhere), ("stranger", stranger)):
            follower = await stack.enter_async_context(connected(address))
            followers[name] = await follower.begin(client.speaking_as(caller))
            await follower.follow(MOVED)
        order = await moved_once(seller, live)
        assert (await followers["here"].hear())["payload"]["data"]["orderMoved"]["number"] == order["number"]
        for name in ("elsewhere", "stranger"):
            await followers[name].say("ping")
            assert await followers[name].hear() == {"type": "pong"}, f"{name} was told something"


async def test_who_lacks_the_scope_is_told_so(address: str, client: Client, seller: Seller) -> None:
    async with connected(address) as follower:
        await follower.begin(client.speaking_as(caller_of(seller.organization_id, "catalog:read")))
        for number, query in enumerate((MOVED, "subscription { orderPlaced { number } }")):
            await follower.say("subscribe", id=str(number), payload={"query": query})
            told = await follower.hear()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "missing_scope")
    answer = await client.post(
        "/graphql",
        json={"query": MOVED},
        headers=client.speaking_as(seller.caller) | {"Accept": "text/event-stream"},
    )
    assert "only_over_web_socket" in answer.text


def job_in(message: dict[str, Any]) -> dict[str, Any]:
    """The job that a message tells of, if it does."""
    job: dict[str, Any] = ((message.get("payload") or {}).get("data") or {}).get("jobChanged") or {}
    return job


async def test_alerts_and_jobs_are_followed_by_who_may_read_their_service(
    address: str, client: Client, seller: Seller
) -> None:
    live: LiveEvents = client.application.state.live
    async with connected(address) as follower, connected(address) as other:
        await follower.begin(client.speaking_as(seller.caller))
        await other.begin(client.speaking_as(caller_of(seller.organization_id, "catalog:read")))
        for each in (follower, other):
            await each.follow("subscription { jobChanged { kind state service } }", "jobs")
            await each.follow("subscription { alertRaised(severity: WARNING) { title service } }", "alerts")
        await moved_once(seller, live)
        started = await client.post("/v1/orders/exports", json={}, headers=client.speaking_as(seller.caller))
        assert started.status_code == 202
        # How the import went that filled the seller's shop may still be told, to both.
        told = await follower.hear_until(lambda message: job_in(message).get("service") == "orders")
        assert job_in(told[-1]) == {"kind": "export", "state": "QUEUED", "service": "orders"}
        await other.say("ping")
        heard = await other.hear_until(lambda message: message["type"] == "pong")
        assert {job_in(message).get("service") for message in heard[:-1]} <= {"catalog"}


async def test_stock_is_followed_by_its_sku(address: str, client: Client, seller: Seller) -> None:
    live: LiveEvents = client.application.state.live
    async with connected(address) as follower:
        await follower.begin(client.speaking_as(caller_of(seller.organization_id, "inventory:read")))
        await follower.follow('subscription { stockChanged(sku: "CUP") { skus } }')
        await moved_once(seller, live)
        await seller.stocked({"MUG": 7, "CUP": 7})
        assert (await follower.hear())["payload"]["data"]["stockChanged"] == {"skus": ["CUP"]}


async def test_a_level_that_is_crossed_is_told(address: str, client: Client, seller: Seller) -> None:
    live: LiveEvents = client.application.state.live
    async with connected(address) as follower:
        await follower.begin(client.speaking_as(caller_of(seller.organization_id, "inventory:read")))
        await follower.follow('subscription { stockLevelCrossed(sku: "MUG") { sku available warningLevel isLow } }')
        await moved_once(seller, live)
        centre = (await seller.level("MUG")).centre
        await seller.ask(SetStockPolicy(sku="MUG", centre=centre, warning_level=10))
        await seller.stocked({"MUG": 5})
        crossed = (await follower.hear())["payload"]["data"]["stockLevelCrossed"]
        assert (crossed["sku"], crossed["warningLevel"], crossed["isLow"]) == ("MUG", 10, True)


async def test_every_gateway_tells_of_every_event(address: str, client: Client, seller: Seller) -> None:
    """Two processes listen; whichever did the work, both hear it, and each once."""
    live: LiveEvents = client.application.state.live
    async with contextlib.aclosing(LiveEvents(live._address)) as other, connected(address) as follower:
        await follower.begin(client.speaking_as(seller.caller))
        await follower.follow(MOVED)
        async with other.following(seller.organization_id) as feed:
            order = await moved_once(seller, live)
            assert (await follower.hear())["payload"]["data"]["orderMoved"]["number"] == order["number"]
            while (heard := await feed.next()).name != "orders.order_moved":
                pass
            assert order["number"] in heard.payload.decode()


# --- how it ends


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([{"type": "subscribe", "id": "1", "payload": {"query": MOVED}}], 4401),
        ([{"type": "connection_init"}], 4401),
        ([{"type": "connection_init", "payload": {"Authorization": "Bearer wrong"}}], 4401),
        ([{"type": "connection_init", "payload": "text"}], 4400),
        ([{"type": "connection_init", "payload": {"Authorization": 1}}], 4401),
        (["no object"], 4400),
        ([{"no": "type"}], 4400),
    ],
)
async def test_who_says_nothing_or_nonsense_is_sent_away(
    address: str, client: Client, said: list[Any], code: int
) -> None:
    async with connected(address) as follower:
        for message in said:
            await follower.connection.send(orjson.dumps(message).decode())
        assert (await follower.closed())[0] == code


async def test_the_protocol_is_kept(address: str, client: Client, seller: Seller) -> None:
    async def end_of(*messages: dict[str, Any]) -> int:
        async with connected(address) as follower:
            await follower.begin(client.speaking_as(seller.caller))
            for message in messages:
                await follower.connection.send(orjson.dumps(message).decode())
            return (await follower.closed())[0]

    following = {"type": "subscribe", "id": "1", "payload": {"query": MOVED}}
    assert await end_of({"type": "connection_init"}) == 4429
    assert await end_of(following, following) == 4409
    assert await end_of({"type": "shout"}) == 4400
    assert await end_of({"type": "subscribe", "id": "1"}) == 4400
    assert await end_of({"type": "subscribe", "payload": {"query": MOVED}}) == 4400
    many = [{**following, "id": str(number)} for number in range(websocket.MOST_OPERATIONS + 1)]
    assert await end_of(*many) == 4429
    async with connect(address) as other:
        with pytest.raises(ConnectionClosed) as end:
            await other.recv()
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 4406


async def test_a_client_has_so_many_connections(
    address: str, client: Client, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MOST_CONNECTIONS_PER_CLIENT", 2)
    caller = caller_of(seller.organization_id)
    async with connected(address) as first, connected(address) as second, connected(address) as third:
        await first.begin(client.speaking_as(caller))
        await second.begin(client.speaking_as(caller))
        await third.say("connection_init", payload=client.speaking_as(caller))
        assert (await third.closed())[0] == 4429


async def test_who_never_begins_is_not_waited_for(
    address: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.2)
    async with connected(address) as follower:
        assert (await follower.closed())[0] == 4408


@pytest.mark.feature("ACC-4")
async def test_it_ends_within_a_second_of_a_withdrawn_token(
    address: str, client: Client, process: topology.Surrounded
) -> None:
    business = await founded(process)
    token = await token_of(client, business.basic)
    async with connected(address) as follower:
        await follower.begin({"authorization": f"Bearer {token}"})
        await follower.follow(MOVED)
        began = asyncio.get_running_loop().time()
        revoked = await client.post("/oauth/revoke", data={"token": token}, auth=business.basic)
        assert revoked.status_code == 200
        code, _ = await follower.closed()
        took = asyncio.get_running_loop().time() - began
        assert code == 4401
        assert took < 5.0, "the bound is a second; a busy machine has the rest"


async def test_a_slow_reader_is_cut_off(address: str, client: Client, seller: Seller) -> None:
    live: LiveEvents = client.application.state.live
    async with live.following(seller.organization_id) as feed:
        for _ in range(MOST_WAITING + 10):
            feed.put(SentEvent(new_id(), "orders.order_moved", b"{}", 0.0))
        for _ in range(MOST_WAITING):
            await feed.next()
        with pytest.raises(TooSlow):
            await feed.next()


@pytest.mark.feature("GAT-7")
async def test_after_redis_was_away_the_end_is_told_and_a_new_beginning_works(
    address: str, client: Client, seller: Seller, servers: Servers
) -> None:
    live: LiveEvents = client.application.state.live
    async with connected(address) as follower:
        await follower.begin(client.speaking_as(seller.caller))
        await follower.follow(MOVED)
        await moved_once(seller, live)
        await follower.hear()
        redis = live._address.connect()
        await redis.client_kill_filter(_type="pubsub")
        await redis.aclose()
        code, reason = await follower.closed()
        assert (code, "missed" in reason) == (1013, True)
    async with connected(address) as again:
        await again.begin(client.speaking_as(seller.caller))
        await again.follow(MOVED)
        order = await moved_once(seller, live)
        assert (await again.hear())["payload"]["data"]["orderMoved"]["number"] == order["number"]
