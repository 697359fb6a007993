"""Connections that bring orders, and the orders they brought."""

from alembic import op

from shared.messaging.schema import guard

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for statement in (*_TABLES.split(";\n"), *_ORDERS.split(";\n")):
        op.execute(statement)
    for table in ("order_connections", "imported_orders"):
        for statement in guard("orders", table):
            op.execute(statement)


# `acted_at` is the remote time of the state that was acted upon last.
_TABLES = """
CREATE TABLE orders.order_connections (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    name text NOT NULL,
    status_map json NOT NULL,
    stock_missing text NOT NULL CHECK (stock_missing IN ('hold', 'backorder')),
    recheck_limit integer NOT NULL CHECK (recheck_limit > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES orders.shops
);
CREATE TABLE orders.imported_orders (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    external_id text NOT NULL,
    number text,
    status text NOT NULL,
    is_paid boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    remote json NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'set_aside', 'imported', 'ignored', 'given_up')),
    reason text,
    detail text,
    acted_at timestamptz,
    checks integer NOT NULL DEFAULT 0,
    next_check_at timestamptz,
    escalated_at timestamptz,
    order_id uuid,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, connection_id, external_id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES orders.order_connections,
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders,
    CHECK ((state = 'imported') = (order_id IS NOT NULL)),
    CHECK ((state = 'set_aside') <= (reason IS NOT NULL)),
    CHECK (next_check_at IS NULL OR state = 'set_aside')
);
CREATE INDEX imported_orders_state ON orders.imported_orders (organization_id, state, received_at DESC, id DESC);
CREATE INDEX imported_orders_status ON orders.imported_orders (organization_id, connection_id, status)
    WHERE state IN ('set_aside', 'ignored')"""

_ORDERS = """
ALTER TABLE orders.orders
    ADD COLUMN connection_id uuid,
    ADD COLUMN external_id text,
    ADD COLUMN external_number text,
    ADD CHECK ((connection_id IS NULL) = (external_id IS NULL)),
    ADD FOREIGN KEY (organization_id, connection_id) REFERENCES orders.order_connections;
CREATE UNIQUE INDEX orders_external ON orders.orders (organization_id, connection_id, external_id)
    WHERE connection_id IS NOT NULL;
ALTER TABLE orders.orders DROP CONSTRAINT orders_hold_cause_check;
ALTER TABLE orders.orders ADD CONSTRAINT orders_hold_cause_check
    CHECK (hold_cause IN ('person', 'stock', 'payment', 'refund_in_doubt', 'connection'))"""
