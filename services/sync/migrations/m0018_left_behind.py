"""A connection's records outlive it for a while: they are dropped some at a time, and nobody sees them meanwhile."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("ALTER TABLE sync.listings DROP CONSTRAINT listings_organization_id_connection_id_fkey")
    op.execute("ALTER TABLE sync.issues DROP CONSTRAINT issues_organization_id_connection_id_fkey")
