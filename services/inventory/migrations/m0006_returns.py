"""Goods that come back, and that come in: more reasons why stock moves."""

from alembic import op

from shared.messaging.schema import guard

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for statement in (*_REASONS.split(";\n"), *_RETURNS.split(";\n")):
        op.execute(statement)
    for table in ("returns", "return_lines"):
        for statement in guard("inventory", table, grants="SELECT, INSERT"):
            op.execute(statement)


_REASONS = """
ALTER TABLE inventory.stock_movements DROP CONSTRAINT stock_movements_reason_check;
ALTER TABLE inventory.stock_movements ADD CONSTRAINT stock_movements_reason_check CHECK (reason IN
    ('counted', 'adjusted', 'reserved', 'released', 'expired', 'shipped', 'returned', 'received'))"""

_RETURNS = """
CREATE TABLE inventory.returns (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    number text NOT NULL,
    order_id uuid NOT NULL,
    order_number text NOT NULL,
    shop_id uuid NOT NULL,
    reason text,
    actor text NOT NULL,
    returned_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    FOREIGN KEY (organization_id, order_id) REFERENCES inventory.reservations
);
CREATE INDEX returns_order ON inventory.returns (organization_id, order_id);
CREATE TABLE inventory.return_lines (
    organization_id uuid NOT NULL,
    return_id uuid NOT NULL,
    number integer NOT NULL,
    shipment_id uuid NOT NULL,
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    restocked_to uuid,
    PRIMARY KEY (organization_id, return_id, number),
    FOREIGN KEY (organization_id, return_id) REFERENCES inventory.returns,
    FOREIGN KEY (organization_id, shipment_id) REFERENCES inventory.shipments,
    FOREIGN KEY (organization_id, restocked_to) REFERENCES inventory.fulfilment_centres
)"""
