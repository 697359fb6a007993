"""What inventory must know of orders to say what is to be picked: number, age, and whether they are stopped."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE inventory.reservations ADD COLUMN order_number text, ADD COLUMN order_status text,"
        " ADD COLUMN order_version bigint, ADD COLUMN placed_at timestamptz"
    )
