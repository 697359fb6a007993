"""Orders are found by any combination of what can be asked of them; shops know their time zone."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for statement in _LISTS.split(";\n"):
        op.execute(statement)


# Numbers are compared byte by byte: a prefix is a range then, whatever the database's locale (LIKE uses no index
# under row-level security).
_LISTS = """
ALTER TABLE orders.shops ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
ALTER TABLE orders.orders ADD COLUMN payment_status text GENERATED ALWAYS AS (CASE
    WHEN refunded > 0 AND refunded >= paid THEN 'refunded'
    WHEN refunded > 0 THEN 'partly_refunded'
    WHEN paid >= total THEN 'paid'
    WHEN paid > 0 THEN 'partly_paid'
    ELSE 'unpaid' END) STORED;
CREATE INDEX orders_payment_status ON orders.orders (organization_id, payment_status, placed_at DESC, id DESC);
CREATE INDEX orders_number ON orders.orders (organization_id, number COLLATE "C");
CREATE INDEX orders_total ON orders.orders (organization_id, total DESC, id DESC);
CREATE INDEX orders_changed ON orders.orders (organization_id, updated_at DESC, id DESC);
CREATE INDEX order_lines_sku ON orders.order_lines (organization_id, sku, order_id)"""
