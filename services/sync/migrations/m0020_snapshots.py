"""What a connection had is kept for a time when it is deleted: what it was, and its records with their changes."""

from alembic import op

from shared.messaging.schema import guard

revision = "0020"
down_revision = "0019"

_TABLES = """
CREATE TABLE sync.snapshots (
    organization_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    -- The connection, its feeds and its clocks, without credentials.
    head jsonb NOT NULL,
    counts jsonb NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    -- When the last of its records had come; null: more are on their way.
    whole_at timestamptz,
    parts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, connection_id)
);
CREATE INDEX snapshots_whole ON sync.snapshots (whole_at);
CREATE TABLE sync.snapshot_parts (
    organization_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    number integer NOT NULL,
    -- Lines of JSON, gzipped.
    lines bytea NOT NULL,
    PRIMARY KEY (organization_id, connection_id, number),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.snapshots ON DELETE CASCADE
)"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    op.execute("ALTER TABLE sync.snapshot_parts ALTER COLUMN lines SET STORAGE EXTERNAL")
    for table in ("snapshots", "snapshot_parts"):
        for statement in guard("sync", table, system="SELECT, DELETE"):
            op.execute(statement)
