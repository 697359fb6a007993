"""Brings a database to the present: roles, one schema per service, each service's own migrations in order."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.database import DatabaseUnavailable, server_url
from shared.errors import CrossdockError
from shared.messaging.schema import roles

APP_ROLE = "crossdock_app"
_LOCK = 0x63726F73
_OLDEST_SERVER = 150000
# PostgreSQL's own default; the password is a machine's, and long.
_SCRAM_ROUNDS = 4096


class CannotMigrate(CrossdockError):
    """The role in the admin URL may not do what a migration needs."""


async def migrate(admin_url: str, app_password: str, services: Sequence[str], root: Path) -> None:
    """Create what is missing and apply what is new. Safe to repeat, and to run twice at once.

    `root` holds `<service>/migrations`. Raises DatabaseUnavailable, CannotMigrate.
    """
    engine = create_async_engine(server_url(admin_url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await _check_rights(connection)
            await _make_roles(connection, services, app_password)
            for service in services:
                await _make_schema(connection, service)
                await connection.run_sync(_upgrade, service, root / service / "migrations")
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InvalidPasswordError) as error:
        raise DatabaseUnavailable(f"PostgreSQL does not let us in for migrating: {error}") from error
    finally:
        await engine.dispose()


async def _check_rights(connection: AsyncConnection) -> None:
    version = int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
    if version < _OLDEST_SERVER:
        raise CannotMigrate(f"PostgreSQL 15 or later is needed; this server is {version // 10000}.")
    row = (
        await connection.execute(
            text("SELECT rolsuper OR (rolcreaterole AND rolbypassrls) AS ok FROM pg_roles WHERE rolname = current_user")
        )
    ).one()
    if not row.ok:
        raise CannotMigrate("The migrating role needs CREATEROLE and BYPASSRLS, or to be a superuser.")


async def _make_roles(connection: AsyncConnection, services: Sequence[str], app_password: str) -> None:
    """Roles belong to the whole server: another database's migration may be making them at this moment."""
    wanted = [role for service in services for role in roles(service)]
    statements = [
        _create_role(APP_ROLE, "LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"),
        *(_create_role(role, "NOLOGIN NOSUPERUSER NOBYPASSRLS") for role in wanted),
    ]
    for statement in statements:
        await connection.execute(text(statement))
    await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('crossdock roles'))")
    await connection.exec_driver_sql(f"ALTER ROLE {APP_ROLE} PASSWORD '{scram_verifier(app_password)}'")
    for role in wanted:
        await connection.exec_driver_sql(f"GRANT {role} TO {APP_ROLE}")


def scram_verifier(password: str) -> str:
    """What PostgreSQL keeps instead of a password (RFC 5803): sent so, the password itself is in no log of statements.

    The text is prepared as RFC 4013 says (spaces, what is mapped to nothing, NFKC), as PostgreSQL's clients do.
    """
    mapped = (" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", "".join(mapped)).encode()
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, _SCRAM_ROUNDS)
    client_key, server_key = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored_key = hashlib.sha256(client_key).digest()
    texts = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_SCRAM_ROUNDS, *texts)


def _create_role(role: str, options: str) -> str:
    return (
        f"DO $$ BEGIN CREATE ROLE {role} {options}; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


async def _make_schema(connection: AsyncConnection, service: str) -> None:
    await connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {service}")
    await connection.exec_driver_sql(f"REVOKE ALL ON SCHEMA {service} FROM PUBLIC")
    for role in roles(service):
        await connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {service} TO {role}")


def _upgrade(connection: Connection, service: str, versions: Path) -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent))
    configuration.set_main_option("version_locations", str(versions))
    configuration.set_main_option("path_separator", "newline")
    configuration.attributes["connection"] = connection
    configuration.attributes["service"] = service
    command.upgrade(configuration, "head")


def migrate_blocking(admin_url: str, app_password: str, services: Sequence[str], root: Path) -> None:
    """`migrate` for the command line."""
    asyncio.run(migrate(admin_url, app_password, services, root))
