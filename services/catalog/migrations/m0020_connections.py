"""A copy of the connections, which may be channels; and exports of channel content."""

from alembic import op

from shared.messaging.schema import guard

revision = "0020"
down_revision = "0019"

# Of a connection that was removed before it was heard of (version 0) nothing else is known.
_TABLE = """
CREATE TABLE catalog.connections (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid,
    name text NOT NULL,
    version bigint NOT NULL,
    is_removed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, id),
    CHECK (version = 0 OR (shop_id IS NOT NULL AND name <> ''))
);
ALTER TABLE catalog.channel_products ADD FOREIGN KEY (organization_id, connection_id) REFERENCES catalog.connections"""

_EXPORTS = (
    "ALTER TABLE catalog.exports DROP CONSTRAINT exports_item_group_check, ADD CONSTRAINT exports_item_group_check"
    " CHECK (item_group IN ('products', 'variants', 'prices', 'categories', 'channel-content', 'stock', 'suppliers',"
    " 'supplier-links', 'customers', 'orders'))"
)


def upgrade() -> None:
    for statement in (*_TABLE.split(";\n"), *guard("catalog", "connections"), _EXPORTS):
        op.execute(statement)
