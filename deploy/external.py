"""PostgreSQL and Redis that somebody else runs, given by DATABASE_URL and REDIS_URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from redis import Redis
from redis.exceptions import RedisError

from deploy.errors import DatabaseUnusable, HalfConfigured, RedisUnusable

CONNECT_SECONDS = 10
OLDEST_POSTGRES = 15


@dataclass(frozen=True)
class Addresses:
    """Where the data is: the database's URL with a role that may migrate, and Redis's URL."""

    database: str
    redis: str


def find_external(environment: Mapping[str, str]) -> Addresses | None:
    """Return the given servers, None when none is given. Raises HalfConfigured when it is only one."""
    database, redis = environment.get("DATABASE_URL"), environment.get("REDIS_URL")
    if database and redis:
        return Addresses(database, redis)
    if database or redis:
        given, missing = ("DATABASE_URL", "REDIS_URL") if database else ("REDIS_URL", "DATABASE_URL")
        raise HalfConfigured(f"{given} is set but {missing} is not: set both, or neither to have servers started here.")
    return None


async def check_external(addresses: Addresses) -> None:
    """Raise DatabaseUnusable or RedisUnusable with what is wrong, unless Crossdock can live there."""
    try:
        connection = await asyncpg.connect(addresses.database, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnusable(
            f"DATABASE_URL leads to no database ({reason(error)}): check address and login."
        ) from error
    try:
        await _check_database(connection)
    finally:
        await connection.close()
    check_redis(addresses.redis)


async def _check_database(connection: asyncpg.Connection) -> None:
    major = connection.get_server_version().major
    if major < OLDEST_POSTGRES:
        raise DatabaseUnusable(f"DATABASE_URL leads to PostgreSQL {major}: Crossdock needs {OLDEST_POSTGRES} or newer.")
    role = await connection.fetchrow(
        "SELECT rolname, rolsuper OR (rolcreaterole AND rolbypassrls) AS may FROM pg_roles WHERE rolname = current_user"
    )
    if not role["may"]:
        name = role["rolname"]
        raise DatabaseUnusable(
            f"The role {name} of DATABASE_URL may not create roles and bypass row-level security, as migrating must: "
            f'run ALTER ROLE "{name}" CREATEROLE BYPASSRLS as a superuser, or give another role.'
        )


def check_redis(url: str) -> None:
    """Raise RedisUnusable unless the server answers."""
    try:
        with Redis.from_url(url, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        raise RedisUnusable(f"REDIS_URL leads to no Redis ({reason(error)}): check address and password.") from error


async def ensure_database(admin_url: str, name: str) -> str:
    """Create the database unless it exists and return its URL for the same login."""
    connection = await asyncpg.connect(admin_url)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))


def login_as(url: str, role: str, password: str) -> str:
    """Return the same address with another login."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{where}"))


def reason(error: Exception) -> str:
    """Return an error's text in one line; some have none."""
    return " ".join(str(error).split()) or type(error).__name__
