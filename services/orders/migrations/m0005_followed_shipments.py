"""Shipments are followed after they left: what is known of them changes."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("GRANT UPDATE (shipment) ON orders.order_shipments TO crossdock_orders")
