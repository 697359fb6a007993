"""Which changes of its lines an order has had."""

from alembic import op

from shared.messaging.schema import guard

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(_AMENDMENTS)
    for statement in guard("orders", "order_amendments", grants="SELECT, INSERT"):
        op.execute(statement)


_AMENDMENTS = """
CREATE TABLE orders.order_amendments (
    organization_id uuid NOT NULL,
    order_id uuid NOT NULL,
    amendment_id uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, order_id, amendment_id),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
)"""
