"""Customers with phone, group, notes, addresses, versions and erasure; imports of them."""

from alembic import op

from shared.imports.schema import imports_v1
from shared.messaging.schema import guard, roles

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for statement in _CUSTOMERS.split(";\n"):
        op.execute(statement)
    for statement in guard("orders", "customer_addresses"):
        op.execute(statement)
    # Who is erased is erased from what was quoted to them, too.
    op.execute(f"GRANT DELETE ON orders.quotes TO {roles('orders')[0]}")
    for statement in imports_v1("orders"):
        op.execute(statement)


# `created_by` is the client or person that made the customer; null for one that an order brought.
_CUSTOMERS = """
ALTER TABLE orders.customers
    ADD COLUMN phone text,
    ADD COLUMN customer_group text CHECK (customer_group <> ''),
    ADD COLUMN notes text,
    ADD COLUMN created_by uuid,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD CHECK (erased_at IS NULL OR (phone IS NULL AND customer_group IS NULL AND notes IS NULL));
CREATE INDEX customers_group ON orders.customers (organization_id, customer_group, id DESC)
    WHERE customer_group IS NOT NULL;
CREATE TABLE orders.customer_addresses (
    organization_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('shipping', 'billing')),
    is_default boolean NOT NULL,
    address json NOT NULL,
    PRIMARY KEY (organization_id, customer_id, position),
    FOREIGN KEY (organization_id, customer_id) REFERENCES orders.customers
);
CREATE UNIQUE INDEX customer_addresses_default ON orders.customer_addresses (organization_id, customer_id, kind)
    WHERE is_default;
CREATE INDEX orders_customer ON orders.orders (organization_id, customer_id, placed_at DESC, id DESC)"""
