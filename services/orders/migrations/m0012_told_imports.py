"""What becomes of an order of a connection is told in its order."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE orders.imported_orders ADD COLUMN version bigint NOT NULL DEFAULT 0")
    op.execute(
        "COMMENT ON COLUMN orders.imported_orders.version IS 'How often it became something else: of two, the newer'"
    )
