"""Sessions with platforms: a connection's account, over connections that stay open, within its shared budget."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.budget import Budgets
from services.sync.platforms import registry
from services.sync.platforms.base import Account, Session
from services.sync.platforms.http import Http, connected
from services.sync.platforms.registry import REVERSE, get_platform
from services.sync.sealing import unsealed
from services.sync.use_cases.desks import Desks
from shared.contracts.sync.shapes import ConnectionSettings, FeedKind, Greeting
from shared.settings import settings

# What lives in this process, by its kind (see `shared.bus.surroundings`): budgets and desks of connections.
Residents = Callable[[type[Any]], Any]


@asynccontextmanager
async def opened(
    residents: Residents,
    organization_id: UUID,
    connection_id: UUID,
    platform_name: str,
    account: Account,
    *,
    is_for_people: bool = False,
) -> AsyncIterator[tuple[Session, Http]]:
    """A session, and the `Http` it speaks through. Nothing is sent before it is used."""
    platform = get_platform(platform_name)
    budget = residents(Budgets).of(connection_id, is_for_people=is_for_people)
    if platform_name in REVERSE:
        desk = residents(Desks).of(organization_id, connection_id, is_for_people=is_for_people)
        account = replace(account, desk=desk)
    async with connected(platform.base_url(account.settings), budget) as http:
        yield platform.session(account, http), http


def account_of(row: asyncpg.Record, organization_id: UUID) -> Account:
    """The account of an organization's connection. Raises CannotUnseal."""
    found = ConnectionSettings.model_validate_json(row["settings"])
    return Account(found.platform, unsealed(row["credentials"]), folder_of(organization_id))


def lacks_of(row: asyncpg.Record) -> dict[FeedKind, str]:
    """Of each feed that a connection does not have, why not; `row` may be a feed's."""
    return registry.lacks_of(row["platform"], ConnectionSettings.model_validate_json(row["settings"]).platform)


def folder_of(organization_id: UUID) -> Path:
    """The organization's own folder on this machine, below which files are exchanged: the one of its drop folders."""
    return (settings().drop_folder or settings().data / "drop") / str(organization_id)


async def greet(
    residents: Residents, organization_id: UUID, connection_id: UUID, platform_name: str, account: Account
) -> Greeting:
    """Raises CredentialsRefused, PlatformAway, PlatformRefused, AnswerNotUnderstood."""
    async with opened(residents, organization_id, connection_id, platform_name, account, is_for_people=True) as (
        session,
        _,
    ):
        return await session.greet()
