"""Isolation in PostgreSQL itself (ACC-1): a walk over its catalog, so that a table nobody thought of fails here."""

import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from deploy import topology
from shared.bus.envelope import service_envelope
from shared.identifiers import new_id
from shared.messaging.schema import roles
from shared.migrations.running import APP_ROLE
from shared.settings import Settings

pytestmark = pytest.mark.feature("ACC-1")

# Tables without a tenant, and why.
NO_TENANT = {
    "alembic_version": "which migrations ran",
    "schedules": "when each schedule runs next; no tenant's data",
    "revocations": "a counter that all processes watch",
    "signing_keys": "the installation's own keys, sealed",
    "client_attempts": "counts failures by digests of client id and address, before anybody is known",
    "sign_in_attempts": "counts failures by digests of e-mail and address, before anybody is known",
}
STAGING_PREFIX = "staging_"
# May be empty: work that belongs to no organization.
TENANT_MAY_BE_NULL = {"tasks"}


@pytest.fixture
async def admin(configuration: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    yield connection
    await connection.close()


@pytest.fixture
async def app(configuration: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(configuration.database_url.get_secret_value())
    yield connection
    await connection.close()


async def _tables(admin: asyncpg.Connection) -> list[asyncpg.Record]:
    return await admin.fetch(
        "SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relrowsecurity, c.relforcerowsecurity"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') ORDER BY 2, 3",
        list(topology.SERVICES),
    )


async def _tenant_tables(admin: asyncpg.Connection) -> list[asyncpg.Record]:
    return [
        table
        for table in await _tables(admin)
        if table["name"] not in NO_TENANT and not table["name"].startswith(STAGING_PREFIX)
    ]


async def test_every_table_names_its_tenant_and_forces_its_policy(admin: asyncpg.Connection) -> None:
    wrong = []
    for table in await _tenant_tables(admin):
        column = await admin.fetchrow(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = $1 AND attname = 'organization_id'", table["oid"]
        )
        policies = await admin.fetch(
            "SELECT polname, pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS written,"
            " (SELECT array_agg(rolname::text) FROM pg_roles WHERE oid = ANY(polroles)) AS roles"
            " FROM pg_policy WHERE polrelid = $1",
            table["oid"],
        )
        role, system_role = roles(table["schema"])
        is_guarded = any(
            policy["roles"] == [role]
            and "crossdock.organization_id" in (policy["qual"] or "")
            and "crossdock.organization_id" in (policy["written"] or "")
            for policy in policies
        )
        is_open_to = {r for policy in policies if policy["qual"] == "true" for r in policy["roles"] or ["PUBLIC"]}
        if (
            column is None
            or not (column["attnotnull"] or table["name"] in TENANT_MAY_BE_NULL)
            or not (table["relrowsecurity"] and table["relforcerowsecurity"])
            or not is_guarded
            or is_open_to - {system_role, *_insert_only_roles(table["schema"])}
        ):
            wrong.append(f"{table['schema']}.{table['name']}")
    assert wrong == []


def _insert_only_roles(schema: str) -> set[str]:
    return {f"crossdock_{schema}_intake"}


async def test_every_key_contains_the_tenant(admin: asyncpg.Connection) -> None:
    """Constraints look past policies: a key without the tenant tells one tenant what another has."""
    tables = {table["oid"]: f"{table['schema']}.{table['name']}" for table in await _tenant_tables(admin)}
    keys = await admin.fetch(
        "SELECT i.indrelid AS table, i.indexrelid::regclass::text AS name,"
        " (SELECT array_agg(attname::text) FROM pg_attribute"
        "  WHERE attrelid = i.indrelid AND attnum = ANY(i.indkey)) AS columns"
        " FROM pg_index i WHERE i.indisunique AND i.indrelid = ANY($1::oid[])",
        list(tables),
    )
    foreign = await admin.fetch(
        "SELECT conrelid AS table, conname::text AS name,"
        " (SELECT array_agg(attname::text) FROM pg_attribute"
        "  WHERE attrelid = conrelid AND attnum = ANY(conkey)) AS columns"
        " FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY($1::oid[])",
        list(tables),
    )
    without = [
        f"{tables[key['table']]} {key['name']}" for key in [*keys, *foreign] if "organization_id" not in key["columns"]
    ]
    assert without == []


async def test_no_role_that_serves_can_look_past_a_policy(admin: asyncpg.Connection) -> None:
    serving = [APP_ROLE, *(role for service in topology.SERVICES for role in roles(service))]
    rows = await admin.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE 'crossdock_%'"
    )
    assert {row["rolname"] for row in rows} >= set(serving)
    assert [row["rolname"] for row in rows if row["rolsuper"] or row["rolbypassrls"] or row["rolcreaterole"]] == []
    owned = await admin.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname LIKE 'crossdock_%'"
    )
    assert owned == 0


async def test_the_login_role_sees_nothing_by_itself(admin: asyncpg.Connection, app: asyncpg.Connection) -> None:
    for table in await _tables(admin):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch(f"SELECT 1 FROM {table['schema']}.{table['name']} LIMIT 1")


async def test_a_service_is_denied_in_every_other_schema(admin: asyncpg.Connection, app: asyncpg.Connection) -> None:
    tables = await _tables(admin)
    for service in topology.SERVICES:
        for role in roles(service):
            async with _rolled_back(app):
                await app.execute(f"SET LOCAL ROLE {role}")
                for table in tables:
                    if table["schema"] != service:
                        await _is_denied(app, f"SELECT 1 FROM {table['schema']}.{table['name']} LIMIT 1")


async def test_without_an_organization_nothing_is_there(admin: asyncpg.Connection, app: asyncpg.Connection) -> None:
    """Unset means "nothing", not an error; and a setting that ended with its transaction is unset."""
    for table in await _tenant_tables(admin):
        role, _ = roles(table["schema"])
        if not await admin.fetchval("SELECT has_table_privilege($1, $2::oid, 'SELECT')", role, table["oid"]):
            continue
        for before in ("", f"SET LOCAL crossdock.organization_id = '{new_id()}'"):
            async with _rolled_back(app):
                await app.execute(f"SET LOCAL ROLE {role}; {before}")
                assert await app.fetch(f"SELECT 1 FROM {table['schema']}.{table['name']} LIMIT 1") == []


async def test_a_query_without_its_filter_returns_the_own_tenant_alone(process: topology.Surrounded) -> None:
    mine, theirs = new_id(), new_id()
    for organization_id in (mine, theirs):
        uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", organization_id))
        uow.audit("probe", "thing", "1")
        await uow.commit()
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", mine))
    seen = await uow.fetch("SELECT organization_id FROM audit_entries")
    await uow.rollback()
    assert [row["organization_id"] for row in seen] == [mine]


async def test_a_row_cannot_be_written_for_another_tenant(process: topology.Surrounded) -> None:
    uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", new_id()))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await uow.execute(
            "INSERT INTO audit_entries (organization_id, id, actor, action, subject_kind, subject_id)"
            " VALUES ($1, $2, '{}', '', '', '')",
            new_id(),
            new_id(),
        )
    await uow.rollback()


async def test_the_audit_trail_can_only_grow(process: topology.Surrounded) -> None:
    for statement in ("DELETE FROM audit_entries", "UPDATE audit_entries SET action = 'changed'"):
        uow = process.surroundings.unit_of_work("catalog", service_envelope("catalog", new_id()))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await uow.execute(statement)
        await uow.rollback()


async def test_functions_with_their_owners_rights_are_few_and_closed(admin: asyncpg.Connection) -> None:
    functions = await admin.fetch(
        "SELECT n.nspname || '.' || p.proname AS name, p.proconfig::text[] AS settings,"
        " EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
        "  WHERE a.grantee = 0) AS is_public"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname = ANY($1)",
        list(topology.SERVICES),
    )
    wrong = [
        function["name"]
        for function in functions
        if function["is_public"] or not any(s.startswith("search_path=") for s in function["settings"] or [])
    ]
    assert wrong == []


class _rolled_back:
    """A transaction that leaves nothing."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *_: Any) -> None:
        await self._transaction.rollback()


async def _is_denied(connection: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with connection.transaction():
            await connection.fetch(statement)
