"""A connection that was deleted is gone; the orders that came by it stay."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("ALTER TABLE orders.order_connections ADD COLUMN gone_at timestamptz")
