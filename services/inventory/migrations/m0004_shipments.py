"""Shipments that are prepared before they leave: states, packages, who moved them, and goods bound to them."""

from alembic import op

from shared.messaging.schema import guard

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for statement in (*_SHIPMENTS.split(";\n"), *_BOUND.split(";\n")):
        op.execute(statement)
    for statement in guard("inventory", "shipment_moves", grants="SELECT, INSERT"):
        op.execute(statement)
    op.execute("GRANT UPDATE (returned) ON inventory.shipment_lines TO crossdock_inventory")


_SHIPMENTS = """
ALTER TABLE inventory.shipments DROP CONSTRAINT shipments_state_check;
ALTER TABLE inventory.shipments ADD CHECK
    (state IN ('picked', 'packed', 'shipped', 'delivered', 'returned', 'cancelled'));
ALTER TABLE inventory.shipments ALTER COLUMN shipped_at DROP NOT NULL, ALTER COLUMN shipped_at DROP DEFAULT;
ALTER TABLE inventory.shipments ADD CHECK ((shipped_at IS NOT NULL) = (state IN ('shipped', 'delivered', 'returned')));
ALTER TABLE inventory.shipments
    ADD COLUMN packages jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN delivered_at timestamptz CHECK (delivered_at >= shipped_at),
    ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE inventory.shipment_lines
    ADD COLUMN returned integer NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND quantity);
CREATE TABLE inventory.shipment_moves (
    organization_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    number integer NOT NULL,
    before text,
    after text NOT NULL,
    actor text NOT NULL,
    reason text,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, shipment_id, number),
    FOREIGN KEY (organization_id, shipment_id) REFERENCES inventory.shipments
)"""

# What a shipment that is being prepared has bound can neither be bound again nor be shipped by another. Those who wait
# for goods are served in the order in which their units were taken.
_BOUND = """
ALTER TABLE inventory.reservation_lines
    ADD COLUMN bound integer NOT NULL DEFAULT 0 CHECK (bound >= 0),
    ADD COLUMN taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD CONSTRAINT bound_once CHECK (shipped + bound <= quantity);
CREATE INDEX reservation_lines_open ON inventory.reservation_lines (organization_id, centre_id, sku)
    WHERE shipped < quantity"""
