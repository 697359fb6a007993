"""A merchant with a connection to a fake shop, spoken to through the doors while the workers run."""

from typing import Any
from uuid import UUID

from deploy.topology import Surrounded
from shared.bus.envelope import Envelope, envelope_for, service_envelope
from shared.contracts.catalog.messages import CreatePriceList
from shared.contracts.catalog.pricing import PriceListDraft
from shared.contracts.orders.imported import ListOrderConnections
from shared.contracts.sync.messages import (
    CreateConnection,
    DeleteConnection,
    GetFeedExecution,
    ListChanges,
    ListFeeds,
    ListIssues,
    ListListings,
    RunFeed,
)
from shared.contracts.sync.shapes import ConnectionDraft, ConnectionSettings
from shared.contracts.sync.snapshots import GetConnectionSnapshot
from shared.security import SecretText
from shared.settings import settings
from tests.doors import Client, eventually
from tests.factories.catalog import Catalog
from tests.factories.inventory import Merchant
from tests.fakes.agent import AgentShop
from tests.fakes.custom import CustomShop
from tests.fakes.platforms import FakeShop
from tests.waiting import until

# Before the orders that tests put into fake shops.
ORDERS_FROM = "2026-11-01T00:00:00Z"


class Connected(Merchant):
    """A merchant with the shop `main` in euros, and a connection of it to `fake`."""

    services = ("inventory", "orders", "sync")

    def __init__(self, process: Surrounded, client: Client, fake: FakeShop) -> None:
        super().__init__(process)
        self.client, self.fake = client, fake
        self.headers = client.speaking_as(self.caller)

    async def open(self, **settings: Any) -> "Connected":
        """Open the shop, and connect."""
        self.shop = await self.open_shop(currency="EUR")
        self.catalog = Catalog(self.process, self.organization_id)
        await self.catalog.open_shop(id=self.shop.id, code="main", currency="EUR")
        await self.catalog.ask(CreatePriceList(draft=PriceListDraft(shop="main", name="Standard")))
        self.connection = await self.connect(**settings)
        self.id = self.connection["id"]
        self.feeds = {feed["kind"]: feed for feed in (await self.get(f"/v1/feeds?connection_id={self.id}"))["items"]}
        return self

    def draft(self, **settings: Any) -> dict[str, Any]:
        return {
            "platform": self.fake.platform,
            "name": "Quay",
            "shop": "main",
            "settings": {"platform": self.fake.settings, "orders_from": ORDERS_FROM, **settings},
            "credentials": self.fake.credentials,
        }

    async def connect(self, **settings: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.post("/v1/connections", self.draft(**settings), status=201)
        if isinstance(self.fake, AgentShop):
            self.fake.send_agent(self.client, made["agent_token"])
            made = await eventually(lambda: self._greeted(made["id"]), 60)
        await self.keep_clock_from_feeds(made["id"])
        return made

    async def keep_clock_from_feeds(self, connection_id: str) -> None:
        """No feed begins by itself, when its minute comes, while a test has another one run: see `is_due`."""
        uow = self.process.surroundings.unit_of_work("sync", self.inside("sync"))
        tomorrow = "UPDATE feeds SET next_run_at = now() + interval '1 day' WHERE connection_id = $1"
        await uow.execute(f"{tomorrow} AND next_run_at IS NOT NULL", UUID(connection_id))
        await uow.commit()

    async def _greeted(self, connection_id: str) -> dict[str, Any]:
        """The connection, once its agent has said who it is."""
        found: dict[str, Any] = await self.get(f"/v1/connections/{connection_id}")
        return found if found["greeting"] else {}

    # --- speaking

    async def get(self, path: str) -> Any:
        answer = await self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.client.post(path, json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    # --- running feeds

    async def run(self, kind: str, **body: Any) -> dict[str, Any]:
        """Run a feed to its end."""
        started = await self.post(f"/v1/feeds/{self.feeds[kind]['id']}/run", body, status=202)
        return await self.ended(started["id"])

    async def ended(self, execution_id: str | UUID, timeout_seconds: float = 60) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            execution = await self.get(f"/v1/feed-executions/{execution_id}")
            return execution if execution["finished_at"] else None

        found = await eventually(look, timeout_seconds)
        assert found is not None
        return found

    def inside(self, service: str) -> Envelope:
        """The envelope of a service's own work for this merchant."""
        return service_envelope(service, self.organization_id)

    async def waiting_tasks(self) -> int:
        """How many tasks sync has left."""
        uow = self.process.surroundings.unit_of_work("sync", self.inside("sync"))
        count: int = await uow.fetchval("SELECT count(*) FROM tasks")
        await uow.rollback()
        return count

    async def is_due(self, feed_id: str) -> None:
        """A feed's time has come."""
        uow = self.process.surroundings.unit_of_work("sync", self.inside("sync"))
        await uow.execute("UPDATE feeds SET next_run_at = now() WHERE id = $1", UUID(feed_id))
        await uow.commit()

    async def heard_all(self) -> None:
        """Every event of this merchant has reached its listeners, and no task is due."""
        for service in ("catalog", "inventory", "orders", "sync"):

            async def is_done(service: str = service) -> bool:
                uow = self.process.surroundings.unit_of_work(service, self.inside(service))
                left = await uow.fetchval(
                    "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM tasks WHERE due_at <= now())"
                )
                await uow.rollback()
                return not left

            await eventually(is_done, 60)

    async def is_quiet(self) -> bool:
        """Nothing waits to be compared, taken or sent."""
        uow = self.process.surroundings.unit_of_work("sync", self.inside("sync"))
        left = await uow.fetchval(
            "SELECT (SELECT count(*) FROM listings WHERE marks > 0 AND entity IN ('product', 'stock'))"
            " + (SELECT count(*) FROM changes WHERE state = 'queued')"
        )
        await uow.rollback()
        return not left

    async def confirm_matches(self) -> None:
        """Somebody has fetched the platform's products, and looked at what would become of them."""
        await self.run("import_products")
        await self.post(f"/v1/connections/{self.id}/matches/confirm")

    async def go_live(self) -> dict[str, Any]:
        return await self.post(f"/v1/connections/{self.id}/go-live")

    # --- looking

    async def changes(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        page = await self.get(f"/v1/changes?connection_id={self.id}&first=200&{asked}")
        items: list[dict[str, Any]] = page["items"]
        return items

    async def issues(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get(f"/v1/issues?connection_id={self.id}&first=200"))["items"]
        return items

    async def products(self) -> dict[str, dict[str, Any]]:
        """The products that are here, by slug."""
        items = (await self.get("/v1/products?first=200"))["items"]
        return {product["slug"]: product for product in items}


async def make(process: Surrounded, organization_id: UUID) -> dict[str, UUID | str]:
    """A connection that orders has heard of, a run of one of its feeds, what it left, and one that was deleted."""
    seller = Merchant(process, organization_id)
    seller.services = ("catalog", "orders", "sync")
    shop = await seller.open_shop("of-sync")
    envelope = envelope_for(seller.caller, timeout_seconds=60)
    fake = CustomShop()
    await fake.start()
    fake.put_product("1", {"handle": "listed", "title": "Listed", "tags": [], "options": []}, {"10": {"sku": "LISTED"}})
    before, settings().fetch_private = settings().fetch_private, True
    try:
        draft = ConnectionDraft(
            platform="custom",
            name="Quay",
            shop=shop.code,
            settings=ConnectionSettings(platform=fake.settings),
            credentials={name: SecretText(text) for name, text in fake.credentials.items()},
        )
        deleted = await process.bus.ask(CreateConnection(connection=draft), envelope)
        await seller.ask(DeleteConnection(connection_id=deleted.id))
        connection = await process.bus.ask(CreateConnection(connection=draft), envelope)
        feeds = await seller.ask(ListFeeds(connection_id=connection.id))
        feed = next(each for each in feeds.items if each.kind == "import_products")
        execution = await seller.ask(RunFeed(feed_id=feed.id))

        async def is_over() -> bool:
            return (await seller.ask(GetFeedExecution(execution_id=execution.id))).finished_at is not None

        await until(is_over)
    finally:
        settings().fetch_private = before
        await fake.stop()

    async def is_known_to_orders() -> bool:
        known = await seller.ask(ListOrderConnections(first=200))
        return connection.id in {each.id for each in known.items}

    async def is_left_whole() -> bool:
        return (await seller.ask(GetConnectionSnapshot(connection_id=deleted.id))).is_whole

    await until(is_known_to_orders)
    await until(is_left_whole)
    listing = (await seller.ask(ListListings(connection_id=connection.id, entity="product"))).items[0]
    change = (await seller.ask(ListChanges(listing_id=listing.id))).items[0]
    issue = (await seller.ask(ListIssues(connection_id=connection.id))).items[0]
    return {
        "connection_id": connection.id,
        "deleted_connection_id": deleted.id,
        "feed_id": feed.id,
        "execution_id": execution.id,
        "listing_id": listing.id,
        "change_id": change.id,
        "issue_id": issue.id,
    }
