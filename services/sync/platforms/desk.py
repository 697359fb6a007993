"""The desk of a connection whose system comes to us: what is asked is laid there, and an agent fetches it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

WorkKind = Literal["hello", "page", "read", "write"]


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work: what it is, and what exactly, in JSON."""

    kind: WorkKind
    asked: dict[str, Any]


class Desk(Protocol):
    """Where the agents of one connection take their work."""

    async def ask(self, work: Sequence[Work]) -> Sequence[bytes | None]:
        """Lay pieces of work, and wait for what comes back: the answer of each as it was sent, in their order.

        None: an agent has taken it, or may have, and nobody knows what came of it. Raises PlatformAway when nothing was
        taken by anybody.
        """
