"""Carriers and shipping methods."""

from alembic import op

from shared.messaging.schema import guard

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for statement in _CARRIERS.split(";\n"):
        op.execute(statement)
    for table in ("carriers", "shipping_methods"):
        for statement in guard("inventory", table, grants="SELECT, INSERT, UPDATE"):
            op.execute(statement)
    for table in ("shipping_method_shops", "shipping_method_centres"):
        for statement in guard("inventory", table, grants="SELECT, INSERT, DELETE"):
            op.execute(statement)


_CARRIERS = """
CREATE TABLE inventory.carriers (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL CHECK (name <> ''),
    services jsonb NOT NULL DEFAULT '[]',
    tracking_url_pattern text,
    is_active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, code)
);
CREATE TABLE inventory.shipping_methods (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL CHECK (name <> ''),
    carrier_id uuid,
    service text,
    price jsonb NOT NULL,
    countries text[] NOT NULL DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, code),
    FOREIGN KEY (organization_id, carrier_id) REFERENCES inventory.carriers
);
CREATE TABLE inventory.shipping_method_shops (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    method_id uuid NOT NULL,
    PRIMARY KEY (organization_id, shop_id, method_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES inventory.shops,
    FOREIGN KEY (organization_id, method_id) REFERENCES inventory.shipping_methods
);
CREATE INDEX shipping_method_shops_method ON inventory.shipping_method_shops (organization_id, method_id);
CREATE TABLE inventory.shipping_method_centres (
    organization_id uuid NOT NULL,
    method_id uuid NOT NULL,
    centre_id uuid NOT NULL,
    PRIMARY KEY (organization_id, method_id, centre_id),
    FOREIGN KEY (organization_id, method_id) REFERENCES inventory.shipping_methods,
    FOREIGN KEY (organization_id, centre_id) REFERENCES inventory.fulfilment_centres
)"""
