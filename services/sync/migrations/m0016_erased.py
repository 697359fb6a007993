"""Who a buyer was is forgotten of orders here, and stays so when a platform tells it again."""

from alembic import op

from shared.messaging.schema import roles

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("ALTER TABLE sync.listings ADD COLUMN erased_at timestamptz")
    op.execute("COMMENT ON COLUMN sync.listings.erased_at IS 'Since when nothing is kept of whose order it is'")
    role, _ = roles("sync")
    op.execute(f"GRANT UPDATE (body) ON sync.webhooks TO {role}")
