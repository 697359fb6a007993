"""How this system talks to Redis (6.2 or later, or Valkey): which names it uses there and how it reconnects.

Nothing that must not be lost is kept there; PostgreSQL remembers.
"""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

# What a caller sees when Redis is away: connection refused, reset, a timeout, "LOADING" after a restart.
REDIS_AWAY = (RedisError, OSError, TimeoutError)

_BLOCKING_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class RedisAddress:
    """A server, and the prefix that all names of this installation share there."""

    url: str
    prefix: str = "crossdock"

    def name(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    def requests(self, service: str) -> str:
        """The list of messages that wait for `service`."""
        return self.name("ask", service)

    def pace(self, service: str) -> str:
        """What is known of how fast that list is taken from."""
        return self.name("pace", service)

    def work(self, service: str) -> str:
        """The arq queue of what `service` has to do."""
        return self.name("work", service)

    def receipts(self, producer: str) -> str:
        """The list of acknowledgements for `producer`'s deliveries."""
        return self.name("receipts", producer)

    def connect(self, *, blocking: bool = False, once: bool = False) -> Any:
        """A client that reconnects by itself. `blocking`: for BLPOP of a second or two, which answers late.

        `once`: nothing is sent a second time because no answer came to the first.
        """
        return Redis.from_url(
            self.url,
            # Blocking as well: a server that vanishes without a word would be waited for until TCP gives up, hours.
            socket_timeout=_BLOCKING_PATIENCE_SECONDS if blocking else 5,
            socket_connect_timeout=2,
            socket_keepalive=True,
            health_check_interval=0 if blocking else 30,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), retries=0 if blocking or once else 2),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
