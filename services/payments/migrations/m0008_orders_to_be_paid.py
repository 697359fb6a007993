"""When orders were placed that wait for their payment: what stays unpaid is watched."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE payments.orders ADD COLUMN to_be_paid_since timestamptz")
    op.execute(
        "CREATE INDEX orders_to_be_paid ON payments.orders (organization_id, shop_id, to_be_paid_since)"
        " WHERE to_be_paid_since IS NOT NULL"
    )
    # For the metrics, across tenants: by how many payments and orders providers and the ledger differ.
    op.execute(
        "CREATE INDEX differences_measured ON payments.differences (gateway_id, kind)"
        " WHERE state IN ('open', 'waiting')"
    )
