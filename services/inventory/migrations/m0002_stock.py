"""Shops, fulfilment centres, stock and its ledger, reservations, shipments."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for statement in shops_v1("inventory", {}, optional={"parent_id": "uuid"}):
        op.execute(statement)
    for statement in (
        *_CENTRES.split(";\n"),
        *_STOCK.split(";\n"),
        *_RESERVATIONS.split(";\n"),
        *_SHIPMENTS.split(";\n"),
    ):
        op.execute(statement)
    for table in ("fulfilment_centres", "shop_centres", "stock", "reservation_lines", "shipments"):
        for statement in guard("inventory", table):
            op.execute(statement)
    for table in ("stock_movements", "shipment_lines"):
        for statement in guard("inventory", table, grants="SELECT, INSERT"):
            op.execute(statement)
    # The sweep that looks for expired reservations looks across tenants, and does nothing else there.
    for statement in guard("inventory", "reservations", system="SELECT"):
        op.execute(statement)


_CENTRES = """
CREATE TABLE inventory.fulfilment_centres (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN ('building', 'store', 'supplier', 'reserve', 'defect')),
    is_default boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, code)
);
CREATE UNIQUE INDEX fulfilment_centres_default ON inventory.fulfilment_centres (organization_id) WHERE is_default;
CREATE TABLE inventory.shop_centres (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    centre_id uuid NOT NULL,
    preference integer NOT NULL DEFAULT 100 CHECK (preference BETWEEN 0 AND 1000),
    counts boolean NOT NULL DEFAULT true,
    dispatches boolean NOT NULL DEFAULT true,
    PRIMARY KEY (organization_id, shop_id, centre_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES inventory.shops,
    FOREIGN KEY (organization_id, centre_id) REFERENCES inventory.fulfilment_centres
);
CREATE INDEX shop_centres_centre ON inventory.shop_centres (organization_id, centre_id)"""

# `backordered` is what is promised and not there. Only a statement that says so (a backorder, a count, a shipment)
# changes it; reserving standard stock does not, so that the database itself refuses to oversell.
_STOCK = """
CREATE TABLE inventory.stock (
    organization_id uuid NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    on_hand integer NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
    reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    backordered integer NOT NULL DEFAULT 0,
    incoming integer NOT NULL DEFAULT 0 CHECK (incoming >= 0),
    policy text NOT NULL DEFAULT 'standard'
        CHECK (policy IN ('standard', 'backorder', 'preorder', 'always', 'showroom')),
    available_from date,
    available_until date,
    restock_date date,
    warning_level integer CHECK (warning_level >= 0),
    ideal_level integer CHECK (ideal_level >= 0),
    counted_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, sku, centre_id),
    FOREIGN KEY (organization_id, centre_id) REFERENCES inventory.fulfilment_centres,
    CONSTRAINT never_oversold CHECK (backordered = greatest(reserved - on_hand, 0))
) WITH (fillfactor = 80);
CREATE INDEX stock_centre ON inventory.stock (organization_id, centre_id, sku);
CREATE INDEX stock_short ON inventory.stock (organization_id, centre_id) WHERE backordered > 0;
CREATE TABLE inventory.stock_movements (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    number bigint NOT NULL,
    reason text NOT NULL CHECK (reason IN ('counted', 'adjusted', 'reserved', 'released', 'expired', 'shipped')),
    reference text,
    on_hand_before integer NOT NULL CHECK (on_hand_before >= 0),
    on_hand_after integer NOT NULL CHECK (on_hand_after >= 0),
    reserved_before integer NOT NULL CHECK (reserved_before >= 0),
    reserved_after integer NOT NULL CHECK (reserved_after >= 0),
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, sku, centre_id, number),
    FOREIGN KEY (organization_id, sku, centre_id) REFERENCES inventory.stock
);
CREATE UNIQUE INDEX stock_movements_reference ON inventory.stock_movements
    (organization_id, sku, centre_id, reference) WHERE reference IS NOT NULL AND reason IN ('counted', 'adjusted');
CREATE INDEX stock_movements_latest ON inventory.stock_movements (organization_id, id);
CREATE INDEX stock_movements_centre ON inventory.stock_movements (organization_id, centre_id, id)"""

_RESERVATIONS = """
CREATE TABLE inventory.reservations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired', 'shipped')),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES inventory.shops,
    CHECK ((state = 'held') = (expires_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX reservations_expiring ON inventory.reservations (expires_at) WHERE state = 'held';
CREATE TABLE inventory.reservation_lines (
    organization_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    backordered integer NOT NULL DEFAULT 0 CHECK (backordered BETWEEN 0 AND quantity),
    shipped integer NOT NULL DEFAULT 0 CHECK (shipped BETWEEN 0 AND quantity),
    in_stock_only boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, reservation_id, sku, centre_id),
    FOREIGN KEY (organization_id, reservation_id) REFERENCES inventory.reservations,
    FOREIGN KEY (organization_id, sku, centre_id) REFERENCES inventory.stock
);
CREATE INDEX reservation_lines_stock ON inventory.reservation_lines (organization_id, sku, centre_id)"""

_SHIPMENTS = """
CREATE TABLE inventory.shipments (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    order_number text NOT NULL,
    shop_id uuid NOT NULL,
    number text NOT NULL,
    state text NOT NULL CHECK (state IN ('shipped')),
    carrier text,
    service text,
    tracking_numbers text[] NOT NULL DEFAULT '{}',
    tracking_url text,
    shipped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    FOREIGN KEY (organization_id, order_id) REFERENCES inventory.reservations
);
CREATE INDEX shipments_order ON inventory.shipments (organization_id, order_id);
CREATE TABLE inventory.shipment_lines (
    organization_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (organization_id, shipment_id, sku, centre_id),
    FOREIGN KEY (organization_id, shipment_id) REFERENCES inventory.shipments,
    FOREIGN KEY (organization_id, sku, centre_id) REFERENCES inventory.stock
)"""
