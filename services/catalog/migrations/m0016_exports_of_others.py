"""Exports of groups that other services have."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE catalog.exports DROP CONSTRAINT exports_item_group_check, ADD CONSTRAINT exports_item_group_check"
        " CHECK (item_group IN ('products', 'variants', 'prices', 'categories', 'stock', 'suppliers',"
        " 'supplier-links'))"
    )
