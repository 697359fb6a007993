"""Units of a line that were cancelled, returned or are waited for; money asked back; reasons on the timeline."""

from alembic import op

from shared.messaging.schema import guard, roles

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for statement in (
        *_LINES.split(";\n"),
        *_ORDERS.split(";\n"),
        *_RETURNS.split(";\n"),
        _CHECK,
        *_TRIGGER.split(";\n"),
    ):
        op.execute(statement)
    for statement in guard("orders", "order_returns", grants="SELECT, INSERT"):
        op.execute(statement)
    # Notes are a person's words about a person: they go when that is forgotten.
    op.execute(f"GRANT UPDATE (text) ON orders.order_timeline TO {roles('orders')[0]}")


# Of `quantity` ordered units, `cancelled` ones are neither paid nor shipped; `refunded` counts units whose money was
# asked back after they returned. News of a return may come before that of its shipment.
_LINES = """
ALTER TABLE orders.order_lines
    DROP CONSTRAINT discount_within_line,
    ADD COLUMN cancelled integer NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    ADD COLUMN returned integer NOT NULL DEFAULT 0 CHECK (returned >= 0),
    ADD COLUMN refunded integer NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    ADD COLUMN backordered integer NOT NULL DEFAULT 0 CHECK (backordered >= 0),
    ADD CONSTRAINT shipped_within_line CHECK (shipped >= 0 AND shipped + cancelled <= quantity),
    ADD CONSTRAINT returned_within_line CHECK (returned + cancelled <= quantity AND refunded <= returned),
    ADD CONSTRAINT discount_within_line CHECK (discount <= unit_price * (quantity - cancelled))"""

# `given_back`: what was asked back although the goods were bought.
_ORDERS = """
ALTER TABLE orders.orders ADD COLUMN given_back bigint NOT NULL DEFAULT 0 CHECK (given_back >= 0);
ALTER TABLE orders.order_timeline ADD COLUMN reason text"""

_RETURNS = """
CREATE TABLE orders.order_returns (
    organization_id uuid NOT NULL,
    return_id uuid NOT NULL,
    order_id uuid NOT NULL,
    number text NOT NULL,
    lines json NOT NULL,
    reason text,
    returned_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, return_id),
    FOREIGN KEY (organization_id, order_id) REFERENCES orders.orders
);
CREATE INDEX order_returns_order ON orders.order_returns (organization_id, order_id)"""

_CHECK = """
CREATE OR REPLACE FUNCTION orders.check_lines_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_order uuid := CASE TG_TABLE_NAME WHEN 'orders' THEN (to_jsonb(NEW) ->> 'id')::uuid
        ELSE (to_jsonb(NEW) ->> 'order_id')::uuid END;
BEGIN
    IF EXISTS (
        SELECT FROM orders.orders o LEFT JOIN orders.order_lines l
            ON l.organization_id = o.organization_id AND l.order_id = o.id
        WHERE o.organization_id = NEW.organization_id AND o.id = of_order
        GROUP BY o.organization_id, o.id
        HAVING (o.goods, o.line_discount, o.line_tax) IS DISTINCT FROM (
            coalesce(sum(l.unit_price * (l.quantity - l.cancelled)), 0), coalesce(sum(l.discount), 0),
            coalesce(sum(l.tax), 0))
    ) THEN
        RAISE EXCEPTION 'the lines of order % do not add up to it', of_order USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$"""

_TRIGGER = """
DROP TRIGGER lines_add_up ON orders.order_lines;
CREATE CONSTRAINT TRIGGER lines_add_up
    AFTER UPDATE OF quantity, cancelled, unit_price, discount, tax ON orders.order_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orders.check_lines_add_up()"""
