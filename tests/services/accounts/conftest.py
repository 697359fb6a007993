"""Organizations to try things on, made as the installation makes them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from shared.bus.envelope import Caller, envelope_for, service_envelope
from shared.contracts.accounts.messages import CreateOrganization
from shared.contracts.base import Message
from shared.identifiers import new_id

Speak = Callable[..., Awaitable[Any]]


def caller(organization_id: UUID, *scopes: str, **more: Any) -> Caller:
    """A client of the organization, `admin` when no scope is named."""
    return Caller(
        kind="client", organization_id=organization_id, id=new_id(), scopes=frozenset(scopes or {"admin"}), **more
    )


@pytest.fixture
def ask(process: topology.Surrounded) -> Speak:
    """`await ask(message, caller)`."""

    async def ask_as(message: Message[Any], speaker: Caller, key: str | None = None) -> Any:
        return await process.bus.ask(message, envelope_for(speaker, idempotency_key=key))

    return ask_as


async def founded(process: topology.Surrounded, **draft: Any) -> UUID:
    """The id of a new organization."""
    organization_id = new_id()
    message = CreateOrganization(**{"name": "Lisbon Bicycles", **draft})
    await process.bus.ask(message, service_envelope("deploy", organization_id))
    return organization_id


@pytest.fixture
async def founder(process: topology.Surrounded) -> Caller:
    """An administrator of a merchant of its own."""
    return caller(await founded(process))


@pytest.fixture
async def rival(process: topology.Surrounded) -> Caller:
    """An administrator of another merchant."""
    return caller(await founded(process, name="Stranger"))
