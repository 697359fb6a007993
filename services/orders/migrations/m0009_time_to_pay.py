"""How long orders of a shop wait for their payment."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE orders.shops ADD COLUMN pay_window_minutes integer CHECK (pay_window_minutes BETWEEN 1 AND 43200)"
    )
