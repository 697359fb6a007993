"""Suppliers, and what each of them supplies."""

from alembic import op

from shared.messaging.schema import guard

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for statement in _SUPPLIERS.split(";\n"):
        op.execute(statement)
    for statement in guard("inventory", "suppliers", grants="SELECT, INSERT, UPDATE"):
        op.execute(statement)
    for statement in guard("inventory", "supplier_links"):
        op.execute(statement)


_SUPPLIERS = """
CREATE TABLE inventory.suppliers (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL CHECK (name <> ''),
    contact_name text,
    contact_email text,
    contact_phone text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    lead_time_days integer CHECK (lead_time_days >= 0),
    is_active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, code)
);
CREATE TABLE inventory.supplier_links (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    supplier_id uuid NOT NULL,
    sku text NOT NULL CHECK (sku <> ''),
    supplier_sku text,
    cost bigint CHECK (cost >= 0),
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    pack_size integer NOT NULL DEFAULT 1 CHECK (pack_size > 0),
    minimum_quantity integer NOT NULL DEFAULT 1 CHECK (minimum_quantity > 0),
    lead_time_days integer CHECK (lead_time_days >= 0),
    is_primary boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, sku, supplier_id),
    FOREIGN KEY (organization_id, supplier_id) REFERENCES inventory.suppliers,
    CHECK ((cost IS NULL) = (currency IS NULL))
);
CREATE UNIQUE INDEX supplier_links_primary ON inventory.supplier_links (organization_id, sku) WHERE is_primary;
CREATE INDEX supplier_links_supplier ON inventory.supplier_links (organization_id, supplier_id, sku)"""
