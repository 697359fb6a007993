"""What is happening, told at once to whoever looks: a copy of some events, on one Redis channel per organization.

Nothing rests on it. A copy may be lost, or come twice when an event is delivered again; whoever must know listens, and
whoever looks in can ask how things are.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.messaging.outbox import SentEvent
from shared.messaging.subscriptions import LIVE, NOBODY, SUBSCRIPTIONS
from shared.redis_connection import RedisAddress

# Each is copied along with its delivery to one of its listeners, so that it is copied once.
_ALONG_WITH: dict[str, str] = {event.wire_name: SUBSCRIPTIONS.get(event, (NOBODY,))[0] for event in LIVE}
_COPIES: msgspec.msgpack.Decoder[list[SentEvent]] = msgspec.msgpack.Decoder(list[SentEvent])


def channel_of(address: RedisAddress, organization_id: UUID) -> str:
    return address.name("live", str(organization_id))


def copy(pipe: Any, address: RedisAddress, listener: str, organization_id: UUID, events: Sequence[SentEvent]) -> None:
    """Put into a pipeline those events of a delivery that are copied along with it."""
    copied = [event for event in events if _ALONG_WITH.get(event.name) == listener]
    if copied:
        pipe.publish(channel_of(address, organization_id), msgspec.msgpack.encode(copied))


def copies_in(content: bytes) -> list[SentEvent]:
    """What one message of a channel holds. Raises msgspec.MsgspecError."""
    return _COPIES.decode(content)
