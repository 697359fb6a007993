"""Shops as search knows them, what must be built anew, the offers' documents, and the state of each shop's index."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"

_OF_SHOPS = {"currency": "text", "locale": "text"}
_TABLES = """
CREATE TABLE search.indexes (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    sequence bigint NOT NULL DEFAULT 0,
    last_number integer NOT NULL DEFAULT 0 CHECK (last_number < 268435456),
    offers integer NOT NULL DEFAULT 0 CHECK (offers >= 0),
    rebuilt_at timestamptz,
    PRIMARY KEY (organization_id, shop_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES search.shops
);
CREATE TABLE search.products (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE TABLE search.skus (
    organization_id uuid NOT NULL,
    sku text NOT NULL,
    product_id uuid NOT NULL,
    built_from bigint NOT NULL,
    PRIMARY KEY (organization_id, sku)
) WITH (fillfactor = 80);
CREATE INDEX skus_product ON search.skus (organization_id, product_id);
CREATE SEQUENCE search.mark_versions;
CREATE TABLE search.marks (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    product_id uuid NOT NULL,
    version bigint NOT NULL DEFAULT nextval('search.mark_versions'),
    is_bulk boolean NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (organization_id, shop_id, product_id, version)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX marks_due ON search.marks (organization_id, shop_id, is_bulk, due_at);
CREATE INDEX marks_old ON search.marks (due_at);
CREATE TABLE search.documents (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    product_id uuid NOT NULL,
    number integer NOT NULL,
    sequence bigint NOT NULL,
    built_from bigint NOT NULL,
    is_deleted boolean NOT NULL,
    slug text NOT NULL,
    content bytea NOT NULL,
    fields bytea,
    document bytea,
    page bytea,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, shop_id, product_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES search.indexes,
    CHECK (is_deleted OR (fields IS NOT NULL AND document IS NOT NULL AND page IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX documents_sequence ON search.documents (organization_id, shop_id, sequence)
"""


def upgrade() -> None:
    for statement in shops_v1("search", _OF_SHOPS, optional={"parent_id": "uuid"}, system="SELECT"):
        op.execute(statement)
    for statement in _TABLES.strip().split(";\n"):
        op.execute(statement)
    for table in ("products", "skus", "documents"):
        _guard(table)
    _guard("indexes", system="SELECT")
    _guard("marks", system="SELECT, UPDATE, DELETE")
    op.execute("GRANT USAGE ON SEQUENCE search.mark_versions TO crossdock_search")


def _guard(table: str, system: str = "") -> None:
    for statement in guard("search", table, system=system):
        op.execute(statement)
