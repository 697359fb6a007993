"""A process that reads one shop and says what it sees: a line of JSON now, and one more for each line it is sent.

It holds the search service alone, as `serve search` does, and asks it directly.
"""

import asyncio
import json
import sys
from uuid import UUID

from services.search.app import service
from services.search.use_cases.reading import Readers
from shared.bus.answering import Surroundings
from shared.bus.envelope import Caller, envelope_for
from shared.bus.local import LocalBus
from shared.contracts.search.messages import SearchOffers
from shared.database import Database
from shared.messaging.relay import Relay
from shared.redis_connection import RedisAddress
from shared.settings import settings


async def main(organization_id: str) -> None:
    database = await Database.connect(settings().database_url.get_secret_value(), max_connections=4)
    relay = Relay(RedisAddress(settings().redis_url.get_secret_value(), settings().redis_prefix))
    bus = LocalBus({service.name: service})
    surroundings = Surroundings(database, bus.ask, relay)
    bus.surrounded_by(surroundings)
    try:
        await tell(surroundings, bus, UUID(organization_id))
    finally:
        await surroundings.close()
        await relay.close()
        await database.close()


async def tell(surroundings: Surroundings, bus: LocalBus, organization_id: UUID) -> None:
    caller = Caller(kind="client", organization_id=organization_id, scopes=frozenset({"storefront"}))
    is_wanted = True
    while is_wanted:
        answer = json.loads(await bus.ask(SearchOffers(shop="main"), envelope_for(caller, timeout_seconds=20)))
        reader = await surroundings.resident(Readers).reader(organization_id, "main")
        seen = {"slugs": sorted(item["slug"] for item in answer["items"]), "folder": str(reader.index._folder)}
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
        is_wanted = bool(await asyncio.to_thread(sys.stdin.readline))


asyncio.run(main(sys.argv[1]))
