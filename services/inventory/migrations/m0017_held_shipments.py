"""No shipment of an order is begun while the address that it goes to changes."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # Until then none is begun by who knows no newer version of the order than this.
    op.execute(
        "ALTER TABLE inventory.reservations ADD COLUMN shipments_held_for bigint NOT NULL DEFAULT 0,"
        " ADD COLUMN shipments_held_until timestamptz"
    )
