"""Callbacks are found by their payment: what is kept on a payer is told whole, and erased."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX callbacks_payment ON payments.callbacks (organization_id, payment_id)"
        " WHERE payment_id IS NOT NULL"
    )
