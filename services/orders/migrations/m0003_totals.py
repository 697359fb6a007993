"""How a total comes about: discounts, tax, shipping; and the sum, held by the table."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in (*_LINES.split(";\n"), *_ORDERS.split(";\n"), _CHECK, *_TRIGGERS.split(";\n")):
        op.execute(statement)


_LINES = """
ALTER TABLE orders.order_lines
    ADD COLUMN discount bigint NOT NULL DEFAULT 0 CHECK (discount >= 0),
    ADD COLUMN tax bigint NOT NULL DEFAULT 0 CHECK (tax >= 0),
    ADD COLUMN discounts json,
    ADD COLUMN taxes json,
    ADD CONSTRAINT discount_within_line CHECK (discount <= unit_price * quantity)"""

# `discount` and `tax` (added to the price) are the order's own, `line_discount` and `line_tax` the sums of its lines;
# `included_tax` is a part of the prices already.
_ORDERS = """
ALTER TABLE orders.orders
    ADD COLUMN goods bigint CHECK (goods >= 0),
    ADD COLUMN line_discount bigint NOT NULL DEFAULT 0 CHECK (line_discount >= 0),
    ADD COLUMN line_tax bigint NOT NULL DEFAULT 0 CHECK (line_tax >= 0),
    ADD COLUMN discount bigint NOT NULL DEFAULT 0 CHECK (discount >= 0),
    ADD COLUMN tax bigint NOT NULL DEFAULT 0 CHECK (tax >= 0),
    ADD COLUMN shipping_price bigint NOT NULL DEFAULT 0 CHECK (shipping_price >= 0),
    ADD COLUMN included_tax bigint NOT NULL DEFAULT 0 CHECK (included_tax >= 0),
    ADD COLUMN discounts json,
    ADD COLUMN taxes json,
    ADD COLUMN shipping json;
UPDATE orders.orders SET goods = total;
ALTER TABLE orders.orders
    ALTER COLUMN goods SET NOT NULL,
    ADD CONSTRAINT total_adds_up
        CHECK (total = goods - line_discount - discount + shipping_price + line_tax + tax)"""

# Deferred: an order and its lines are written by several statements, and must agree when the transaction ends.
_CHECK = """
CREATE FUNCTION orders.check_lines_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_order uuid := CASE TG_TABLE_NAME WHEN 'orders' THEN (to_jsonb(NEW) ->> 'id')::uuid
        ELSE (to_jsonb(NEW) ->> 'order_id')::uuid END;
BEGIN
    IF EXISTS (
        SELECT FROM orders.orders o LEFT JOIN orders.order_lines l
            ON l.organization_id = o.organization_id AND l.order_id = o.id
        WHERE o.organization_id = NEW.organization_id AND o.id = of_order
        GROUP BY o.organization_id, o.id
        HAVING (o.goods, o.line_discount, o.line_tax) IS DISTINCT FROM (coalesce(sum(l.unit_price * l.quantity), 0),
            coalesce(sum(l.discount), 0), coalesce(sum(l.tax), 0))
    ) THEN
        RAISE EXCEPTION 'the lines of order % do not add up to it', of_order USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$"""

_TRIGGERS = """
CREATE CONSTRAINT TRIGGER lines_add_up AFTER INSERT OR UPDATE OF goods, line_discount, line_tax ON orders.orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orders.check_lines_add_up();
CREATE CONSTRAINT TRIGGER lines_add_up AFTER UPDATE OF quantity, unit_price, discount, tax ON orders.order_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orders.check_lines_add_up()"""
