"""Kits, rules of sourcing, and why a reservation's units come from where they come from."""

from alembic import op

from shared.messaging.schema import guard

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    for statement in (*_KITS.split(";\n"), *_SOURCING.split(";\n"), *_HELD_FOR_KITS.split(";\n")):
        op.execute(statement)
    for table in ("kits", "kit_parts", "kit_units", "shop_sourcing", "reservation_sourcing"):
        for statement in guard("inventory", table):
            op.execute(statement)


# `kit_parts` is what a kit was said to be made of; `kit_units` are the goods that takes, kits in it taken apart.
_KITS = """
CREATE TABLE inventory.kits (
    organization_id uuid NOT NULL,
    sku text NOT NULL CHECK (sku <> ''),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, sku)
);
CREATE TABLE inventory.kit_parts (
    organization_id uuid NOT NULL,
    kit_sku text NOT NULL,
    sku text NOT NULL CHECK (sku <> kit_sku),
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    PRIMARY KEY (organization_id, kit_sku, sku),
    FOREIGN KEY (organization_id, kit_sku) REFERENCES inventory.kits
);
CREATE INDEX kit_parts_sku ON inventory.kit_parts (organization_id, sku);
CREATE TABLE inventory.kit_units (
    organization_id uuid NOT NULL,
    kit_sku text NOT NULL,
    sku text NOT NULL CHECK (sku <> kit_sku),
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    PRIMARY KEY (organization_id, kit_sku, sku),
    FOREIGN KEY (organization_id, kit_sku) REFERENCES inventory.kits
);
CREATE INDEX kit_units_sku ON inventory.kit_units (organization_id, sku)"""

_SOURCING = """
CREATE TABLE inventory.shop_sourcing (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    strategy text NOT NULL CHECK (strategy IN ('preference', 'most_stock', 'fewest_shipments')),
    splitting text NOT NULL CHECK (splitting IN ('lines', 'orders', 'never')),
    PRIMARY KEY (organization_id, shop_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES inventory.shops
);
CREATE TABLE inventory.reservation_sourcing (
    organization_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    strategy text NOT NULL,
    splitting text NOT NULL,
    lines json NOT NULL,
    PRIMARY KEY (organization_id, reservation_id),
    FOREIGN KEY (organization_id, reservation_id) REFERENCES inventory.reservations
)"""

# Units of a child are held for its kit; '' is no SKU: units that are held for themselves.
_HELD_FOR_KITS = """
ALTER TABLE inventory.reservation_lines ADD COLUMN kit text NOT NULL DEFAULT '';
ALTER TABLE inventory.reservation_lines ADD COLUMN per_kit integer NOT NULL DEFAULT 1 CHECK (per_kit > 0);
ALTER TABLE inventory.reservation_lines DROP CONSTRAINT reservation_lines_pkey;
ALTER TABLE inventory.reservation_lines ADD PRIMARY KEY (organization_id, reservation_id, kit, sku, centre_id);
ALTER TABLE inventory.shipment_lines ADD COLUMN kit text NOT NULL DEFAULT '';
ALTER TABLE inventory.shipment_lines DROP CONSTRAINT shipment_lines_pkey;
ALTER TABLE inventory.shipment_lines ADD PRIMARY KEY (organization_id, shipment_id, kit, sku, centre_id)"""
