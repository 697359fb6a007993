"""Connections that were here before are announced to whoever keeps what they are called."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute(
        "INSERT INTO sync.tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT DISTINCT ON (organization_id) organization_id, gen_random_uuid(), 'sync.announce_connections', '{}',"
        " now(), 'announce_connections' FROM sync.connections"
    )
