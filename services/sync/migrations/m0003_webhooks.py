"""What platforms tell by themselves: kept as it came, told apart by its event, and good for waking feeds."""

from alembic import op

from shared.messaging.schema import guard, roles

revision = "0003"
down_revision = "0002"

_TABLES = """
CREATE TABLE sync.webhooks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    event_id text NOT NULL,
    headers json NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, connection_id, event_id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
);
CREATE INDEX webhooks_age ON sync.webhooks (received_at)"""

# Runs with the rights of the migrating role: it looks past the tenants' policies, and gives sealed credentials only.
_FIND_CONNECTION = """
CREATE FUNCTION sync.find_connection(sought uuid)
RETURNS TABLE (organization_id uuid, platform text, credentials text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sync, pg_temp AS $$
    SELECT c.organization_id, c.platform, c.credentials FROM connections c WHERE c.id = sought
$$"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for statement in guard("sync", "webhooks", system="SELECT, DELETE", grants="SELECT, INSERT"):
        op.execute(statement)
    role, _ = roles("sync")
    op.execute(_FIND_CONNECTION)
    op.execute("REVOKE ALL ON FUNCTION sync.find_connection(uuid) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION sync.find_connection(uuid) TO {role}")
