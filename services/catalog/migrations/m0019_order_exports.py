"""Exports of orders."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE catalog.exports DROP CONSTRAINT exports_item_group_check, ADD CONSTRAINT exports_item_group_check"
        " CHECK (item_group IN ('products', 'variants', 'prices', 'categories', 'stock', 'suppliers',"
        " 'supplier-links', 'customers', 'orders'))"
    )
