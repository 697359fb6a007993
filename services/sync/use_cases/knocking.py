"""A platform says by itself that something changed: what it says is kept, and wakes the feeds that go and look.

Nothing that stands in it is believed. A repeat wakes nothing; one that is lost costs nothing but time, because the
feeds run by the clock as well (SYN-14).
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from services.sync.errors import ConnectionNotFound, WebhookNotGenuine
from services.sync.platforms.registry import WEBHOOKS
from services.sync.repository import feeds, webhooks
from services.sync.repository.feeds import START_FEED
from services.sync.sealing import unsealed
from shared import clock
from shared.bus.envelope import Caller
from shared.unit_of_work import UnitOfWork

# Platforms tell of one change in several ways at once; together they are looked at once.
_GATHERING = timedelta(seconds=1)


async def receive(uow: UnitOfWork, connection_id: UUID, headers: Mapping[str, str], body: bytes) -> None:
    """Raises ConnectionNotFound, WebhookNotGenuine."""
    async with uow.beforehand() as earlier:
        found = await webhooks.find_connection(earlier, connection_id)
    if found is None:
        raise ConnectionNotFound("There is no such connection.")
    lowered = {name.lower(): value for name, value in headers.items()}
    webhooks_of = WEBHOOKS.get(found["platform"])
    secret = unsealed(found["credentials"]).get(webhooks_of.SIGNED_WITH, "") if webhooks_of else ""
    if webhooks_of is None or not secret or not webhooks_of.is_genuine(body, lowered, secret, clock.now()):
        raise WebhookNotGenuine("The signature is not that of the connection's secret, or it is too old.")
    knock = webhooks_of.knock(body, lowered)
    uow.act_as(Caller(kind="service", organization_id=found["organization_id"], name="webhook", scopes=frozenset()))
    if not await webhooks.keep(uow, connection_id, knock.event_id, lowered, body):
        return
    for row in await feeds.list_of(uow, connection_id):
        if row["kind"] in knock.feeds and row["is_enabled"]:
            wake(uow, row["id"], _GATHERING)


def wake(uow: UnitOfWork, feed_id: UUID, after: timedelta) -> None:
    """Let a feed run soon; it is woken once, however many say so before it runs."""
    payload = {"feed_id": str(feed_id), "trigger": "webhook"}
    uow.defer(START_FEED, payload, due_at=clock.now() + after, key=f"webhook {feed_id}")
