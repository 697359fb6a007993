"""A system behind a firewall: a server of the custom protocol that only its agent reaches, and the agent itself.

The agent is the real one; it speaks to the desk of a connection through the doors.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.agent.relay import RelaySource
from deploy.agent.running import Agent
from deploy.topology import Surrounded
from services.sync.platforms.desk import Desk
from services.sync.repository import connections
from services.sync.repository.shops import SHOPS
from services.sync.use_cases import agents
from services.sync.use_cases.desks import Desks
from shared.bus.envelope import service_envelope
from shared.identifiers import new_id
from tests.doors import Client
from tests.factories.catalog import a_shop
from tests.fakes.custom import RIGHTS, TOKEN, CustomShop


def agent_http(client: Client, token: str) -> httpx.AsyncClient:
    """A way to the application for somebody with an agent's token."""
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(client.application)
    return httpx.AsyncClient(transport=transport, base_url="http://crossdock.test", headers=headers)


@dataclass
class AgentShop(CustomShop):
    """The system. `came_with`: the token its agent comes with, once a connection was made."""

    platform = "agent"
    settings: dict[str, Any] = field(default_factory=lambda: {"page_size": 100, "rights": list(RIGHTS)})
    credentials: dict[str, str] = field(default_factory=dict)
    desk: Desk | None = None
    said: list[str] = field(default_factory=list)

    async def start(self, port: int = 0) -> None:
        await super().start(port)
        self.address = self.settings.pop("url")
        if self._way is not None:
            self.send_agent(*self._way)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._way: tuple[Client, str] | None = None
        self._agents: list[tuple[asyncio.Task[None], asyncio.Event, httpx.AsyncClient, RelaySource]] = []

    async def stop(self) -> None:
        await self.rest()
        await super().stop()

    async def rest(self) -> None:
        """Its agents go home."""
        for task, stopping, http, source in self._agents:
            stopping.set()
            await asyncio.gather(task, return_exceptions=True)
            await http.aclose()
            await source.close()
        self._agents.clear()

    def send_agent(self, client: Client, token: str) -> "asyncio.Task[None]":
        """Start an agent of the system."""
        stopping, http, source = asyncio.Event(), agent_http(client, token), RelaySource(self.address, TOKEN)
        # Inside one process a request that is given up may go on until its answer.
        agent = Agent(http, source, stopping, self.said.append, wait_seconds=1)
        task = asyncio.create_task(agent.run())
        self._agents.append((task, stopping, http, source))
        return task

    async def open_desk(self, process: Surrounded, client: Client) -> None:
        """A connection with nothing but a desk, for whoever speaks to the adapter alone. Before `start`."""
        organization_id, connection_id = new_id(), new_id()
        uow = process.surroundings.unit_of_work("sync", service_envelope("sync", organization_id))
        shop = a_shop(organization_id)
        await SHOPS.take(uow, shop)
        values = {"shop_id": shop.id, "platform": "agent", "name": "Quay", "settings": "{}", "credentials": ""}
        await connections.add(uow, {"id": connection_id, **values})
        token = await agents.new_token(uow, connection_id)
        await uow.commit()
        self.desk = process.surroundings.resident(Desks).of(organization_id, connection_id)
        self._way = client, token.reveal()
