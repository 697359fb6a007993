"""What a connection by an agent is told."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from services.sync.platforms.custom.settings import MOST_RECORDS
from services.sync.platforms.settings import FullScans, checked_settings
from shared.contracts.base import Shape

Right = Literal[
    "read:products",
    "read:stock",
    "read:orders",
    "read:suppliers",
    "read:supplier-links",
    "write:products",
    "write:stock",
    "write:shipments",
]


class AgentSettings(Shape):
    """`rights` are what the agent's system is wanted for: it is asked for nothing else, and has to be able to do these.

    `full_scans` names what is always read whole, because its time does not move with every change over there.
    """

    rights: Annotated[list[Right], Field(max_length=8)] = [
        *("read:products", "read:stock", "read:orders", "write:stock", "write:shipments"),
    ]
    page_size: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = 250
    full_scans: FullScans = []


def agent_settings(given: Mapping[str, Any]) -> AgentSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(AgentSettings, given)
