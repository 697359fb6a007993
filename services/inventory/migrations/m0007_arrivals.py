"""Goods that are expected, and goods that came in."""

from alembic import op

from shared.messaging.schema import guard

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for statement in _ARRIVALS.split(";\n"):
        op.execute(statement)
    for statement in guard("inventory", "arrivals", grants="SELECT, INSERT, UPDATE"):
        op.execute(statement)
    for table in ("receipts", "receipt_lines"):
        for statement in guard("inventory", table, grants="SELECT, INSERT"):
            op.execute(statement)


_ARRIVALS = """
CREATE TABLE inventory.arrivals (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    received integer NOT NULL DEFAULT 0 CHECK (received >= 0),
    expected_on date,
    reference text,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'received', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, sku, centre_id) REFERENCES inventory.stock,
    CHECK ((state = 'received' AND received >= quantity) OR (state <> 'received' AND received < quantity))
);
CREATE INDEX arrivals_open ON inventory.arrivals (organization_id, sku, centre_id) WHERE state = 'open';
CREATE TABLE inventory.receipts (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    centre_id uuid NOT NULL,
    reference text,
    actor text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, centre_id) REFERENCES inventory.fulfilment_centres
);
CREATE TABLE inventory.receipt_lines (
    organization_id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    number integer NOT NULL,
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    arrival_id uuid,
    PRIMARY KEY (organization_id, receipt_id, number),
    FOREIGN KEY (organization_id, receipt_id) REFERENCES inventory.receipts,
    FOREIGN KEY (organization_id, arrival_id) REFERENCES inventory.arrivals
)"""
