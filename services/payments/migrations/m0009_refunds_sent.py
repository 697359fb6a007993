"""Requested refunds that are sent through the provider's API: since when, as what, and why not."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE payments.refunds ADD COLUMN sending_since timestamptz, ADD COLUMN sent_as text,"
        " ADD COLUMN sending_error text"
    )
