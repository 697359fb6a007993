"""Records that are gone and had a product are found fast; which picture of ours is which on a platform."""

from alembic import op

revision = "0005"
down_revision = "0004"

_CHANGES = """
CREATE INDEX listings_gone ON sync.listings (organization_id, connection_id, sku)
    WHERE entity = 'variant' AND gone_at IS NOT NULL AND product_id IS NOT NULL AND external_id IS NOT NULL;
ALTER TABLE sync.listings ADD COLUMN pictures jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN sync.listings.pictures IS 'Addresses of pictures of ours, with those that the platform gave them'"""


def upgrade() -> None:
    for statement in _CHANGES.split(";\n"):
        op.execute(statement)
