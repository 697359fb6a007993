"""Callbacks that are not settled, found across tenants and however many are: for the metrics."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX callbacks_open ON payments.callbacks (gateway_id, status, received_at)"
        " WHERE status IN ('received', 'waiting', 'retrying', 'failed')"
    )
