"""Products and variants that are to be made on a platform: listings that have no id there yet, and who may be one."""

from alembic import op

from shared.messaging.schema import guard

revision = "0004"
down_revision = "0003"

_CHANGES = """
ALTER TABLE sync.listings ALTER COLUMN external_id DROP NOT NULL;
ALTER TABLE sync.listings ADD COLUMN barcode text;
ALTER TABLE sync.listings ADD COLUMN is_made boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN sync.listings.is_made IS 'We have made it there, and no analysis has looked at it since';
UPDATE sync.listings SET barcode = nullif(remote->>'barcode', '') WHERE entity = 'variant';
ALTER TABLE sync.listings ADD CHECK (external_id IS NOT NULL OR product_id IS NOT NULL);
CREATE UNIQUE INDEX listings_waiting ON sync.listings
    (organization_id, connection_id, entity, product_id, coalesce(sku, '')) WHERE external_id IS NULL;
CREATE INDEX listings_of_barcode ON sync.listings (organization_id, connection_id, barcode)
    WHERE barcode IS NOT NULL;
CREATE TABLE sync.candidates (
    organization_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    product_id uuid NOT NULL,
    -- How often it changed here since it was last looked at.
    marks integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, connection_id, product_id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
)"""


def upgrade() -> None:
    for statement in _CHANGES.split(";\n"):
        op.execute(statement)
    for statement in guard("sync", "candidates"):
        op.execute(statement)
