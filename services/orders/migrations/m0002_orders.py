"""Shops, customers, quotes, orders with their lines, payments, shipments and timeline."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in shops_v1("orders", {"currency": "text"}):
        op.execute(statement)
    for statement in (*_BEFORE.split(";\n"), *_ORDERS.split(";\n"), *_PARTS.split(";\n")):
        op.execute(statement)
    for table in ("order_numbers", "customers", "orders", "order_lines", "order_payments"):
        for statement in guard("orders", table):
            op.execute(statement)
    for table in ("order_shipments", "order_timeline"):
        for statement in guard("orders", table, grants="SELECT, INSERT"):
            op.execute(statement)
    # Old quotes are swept across tenants.
    for statement in guard("orders", "quotes", system="SELECT, DELETE", grants="SELECT, INSERT"):
        op.execute(statement)


_BEFORE = """
CREATE TABLE orders.order_numbers (
    organization_id uuid NOT NULL,
    prefix text NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (organization_id, prefix)
) WITH (fillfactor = 50);
CREATE TABLE orders.customers (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email)),
    name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, email)
);
CREATE TABLE orders.quotes (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    client_id uuid,
    quote json NOT NULL,
    valid_until timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES orders.shops
);
CREATE INDEX quotes_age ON orders.quotes (valid_until)"""

# `version` counts the changes of one order. `paid` and `refunded` are the sums of its payments.
_ORDERS = """
CREATE TABLE orders.orders (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    number text NOT NULL,
    shop_id uuid NOT NULL,
    client_id uuid,
    customer_id uuid,
    status text NOT NULL CHECK (status IN
        ('pending', 'processing', 'partly_shipped', 'complete', 'on_hold', 'cancelled', 'returned')),
    held_from text CHECK (held_from IN ('pending', 'processing', 'partly_shipped', 'complete')),
    hold_cause text CHECK (hold_cause IN ('person', 'stock', 'payment', 'refund_in_doubt')),
    hold_reason text,
    cancel_reason text,
    currency text NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    paid bigint NOT NULL DEFAULT 0 CHECK (paid >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    refund_wanted bigint NOT NULL DEFAULT 0 CHECK (refund_wanted >= 0),
    customer json,
    shipping_address json,
    pay_until timestamptz,
    placed_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    FOREIGN KEY (organization_id, shop_id) REFERENCES orders.shops,
    FOREIGN KEY (organization_id, customer_id) REFERENCES orders.customers,
    CHECK ((status = 'on_hold') = (held_from IS NOT NULL)),
    CHECK ((status = 'on_hold') = (hold_cause IS NOT NULL)),
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL))
);
CREATE INDEX orders_latest ON orders.orders (organization_id, placed_at DESC, id DESC);
CREATE INDEX orders_status ON orders.orders (organization_id, status, placed_at DESC, id DESC);
CREATE INDEX orders_shop ON orders.orders (organization_id, shop_id, placed_at DESC, id DESC);
CREATE INDEX orders_client ON orders.orders (organization_id, client_id, placed_at DESC, id DESC);
CREATE TABLE orders.order_lines (
    organization_id uuid NOT NULL,
    order_id uuid NOT NULL,
    sku text NOT NULL,
    position integer NOT NULL,
    title text,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    shipped integer NOT NULL DEFAULT 0 CHECK (shipped BETWEEN 0 AND quantity),
    PRIMARY KEY (organization_id, order_id, sku),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
)"""

_PARTS = """
CREATE TABLE orders.order_payments (
    organization_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    provider text NOT NULL,
    external_id text NOT NULL,
    state text NOT NULL,
    currency text NOT NULL,
    authorised bigint NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL,
    disputed bigint NOT NULL,
    refund_in_doubt bigint,
    occurred_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization_id, payment_id),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
);
CREATE INDEX order_payments_order ON orders.order_payments (organization_id, order_id);
CREATE TABLE orders.order_shipments (
    organization_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    shipment json NOT NULL,
    shipped_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, shipment_id),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
);
CREATE INDEX order_shipments_order ON orders.order_shipments (organization_id, order_id);
CREATE TABLE orders.order_timeline (
    organization_id uuid NOT NULL,
    order_id uuid NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    kind text NOT NULL,
    before text,
    after text,
    actor text NOT NULL,
    text text NOT NULL,
    data json NOT NULL DEFAULT '{}',
    PRIMARY KEY (organization_id, order_id, id),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
)"""
