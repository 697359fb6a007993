"""Agents that come out from behind a firewall: the token each is known by, and the desk where its work lies."""

from alembic import op

from shared.messaging.schema import guard, roles

revision = "0010"
down_revision = "0009"

_TABLES = """
CREATE TABLE sync.agents (
    organization_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    digest bytea NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz,
    PRIMARY KEY (organization_id, connection_id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX agents_of_token ON sync.agents (digest);
CREATE TABLE sync.desk (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    -- Who waits for the answer; what was asked together has the same.
    asker_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('hello', 'page', 'read', 'write')),
    asked json,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'answered', 'withdrawn')),
    wanted_until timestamptz NOT NULL,
    lease_until timestamptz,
    result bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
);
CREATE INDEX desk_open ON sync.desk (organization_id, connection_id, id) WHERE state IN ('waiting', 'taken');
CREATE INDEX desk_of_asker ON sync.desk (organization_id, asker_id);
CREATE INDEX desk_held ON sync.desk (organization_id, connection_id) WHERE kind = 'write' AND lease_until IS NOT NULL;
CREATE INDEX desk_age ON sync.desk (created_at)"""

# Runs with the rights of the migrating role: it looks past the tenants' policies, for who knows the token alone.
_FIND_AGENT = """
CREATE FUNCTION sync.find_agent(sought bytea)
RETURNS TABLE (organization_id uuid, connection_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sync, pg_temp AS $$
    SELECT a.organization_id, a.connection_id FROM agents a WHERE a.digest = sought
$$"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for statement in (*guard("sync", "agents"), *guard("sync", "desk", system="SELECT, DELETE")):
        op.execute(statement)
    role, _ = roles("sync")
    op.execute(_FIND_AGENT)
    op.execute("REVOKE ALL ON FUNCTION sync.find_agent(bytea) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION sync.find_agent(bytea) TO {role}")
