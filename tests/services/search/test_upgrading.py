"""An installation from before operators' documents: what it has gets in, by tasks that the migration leaves."""

import secrets
import shutil
from pathlib import Path

import asyncpg
import orjson
import pytest

from deploy import migrating
from shared.identifiers import new_id
from shared.migrations import running
from tests.conftest import APP_PASSWORD, Servers, _execute

pytestmark = pytest.mark.feature("ORD-7", "SYN-13")
_LAST_BEFORE = "m0004"


async def test_every_organization_that_was_there_is_filled_once(servers: Servers, tmp_path: Path) -> None:
    folder = tmp_path / "search" / "migrations"
    shutil.copytree(migrating.SERVICES_FOLDER / "search" / "migrations", folder)
    for file in folder.glob("m*.py"):
        if file.stem[:5] > _LAST_BEFORE:
            file.unlink()
    name = f"earlier_{secrets.token_hex(6)}"
    await _execute(servers.admin_url, f"CREATE DATABASE {name}")
    url = servers.url_of(name, admin=True)
    try:
        await running.migrate(url, APP_PASSWORD, ("search",), tmp_path)
        with_shop, with_both = new_id(), new_id()
        connection = await asyncpg.connect(url)
        for organization_id in (with_shop, with_both):
            await connection.execute(
                "INSERT INTO search.shops (organization_id, id, code, currency, locale, version)"
                " VALUES ($1, $2, 'main', 'USD', 'en-US', 1)",
                organization_id,
                new_id(),
            )
        await connection.execute("INSERT INTO search.products VALUES ($1, $2)", with_both, new_id())
        for _ in range(2):
            await running.migrate(url, APP_PASSWORD, ("search",), migrating.SERVICES_FOLDER)
        rows = await connection.fetch(
            "SELECT organization_id, payload FROM search.tasks WHERE kind = 'fill_operator_documents'"
        )
        await connection.close()
        left = sorted((row["organization_id"], orjson.loads(row["payload"])["kinds"]) for row in rows)
        assert left == sorted((each, [kind]) for each in (with_shop, with_both) for kind in ("order", "product"))
    finally:
        await _execute(servers.admin_url, f"DROP DATABASE {name} WITH (FORCE)")
