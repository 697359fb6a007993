"""What a migration leaves in the server, and what it must not."""

import secrets

import asyncpg
import pytest

from deploy import migrating
from shared.migrations import running
from shared.migrations.running import scram_verifier
from tests.conftest import APP_PASSWORD, Servers, _execute

pytestmark = pytest.mark.feature("GAT-5")


async def test_the_password_is_in_no_log_of_statements(servers: Servers) -> None:
    name = f"logged_{secrets.token_hex(6)}"
    await _execute(servers.admin_url, f"CREATE DATABASE {name}")
    try:
        await _execute(servers.admin_url, f"ALTER DATABASE {name} SET log_statement = 'all'")
        await running.migrate(servers.url_of(name, admin=True), APP_PASSWORD, (), migrating.SERVICES_FOLDER)
        written = servers.postgres.log.read_text()
        assert "ALTER ROLE crossdock_app PASSWORD" in written
        assert APP_PASSWORD not in written
        connection = await asyncpg.connect(servers.url_of(name))
        assert await connection.fetchval("SELECT current_user") == "crossdock_app"
        await connection.close()
    finally:
        await _execute(servers.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("password", ["plain", "it's $quoted$:", "f\u00fcnf \u2168 a\u00a0b", "soft\u00adhyphen"])
async def test_who_knows_the_password_gets_in_and_nobody_else(servers: Servers, password: str) -> None:
    role = f"tested_{secrets.token_hex(6)}"
    await _execute(servers.admin_url, f"CREATE ROLE {role} LOGIN PASSWORD '{scram_verifier(password)}'")
    host, port = servers.admin_url.rsplit("@", 1)[1].split("/")[0].split(":")
    address = {"host": host, "port": int(port), "user": role, "database": "postgres"}
    try:
        connection = await asyncpg.connect(**address, password=password)
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(**address, password=f"{password}.")
    finally:
        await _execute(servers.admin_url, f"DROP ROLE {role}")
