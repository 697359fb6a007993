"""Exports of stock."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE catalog.exports DROP CONSTRAINT exports_item_group_check, ADD CONSTRAINT exports_item_group_check"
        " CHECK (item_group IN ('products', 'variants', 'prices', 'categories', 'stock'))"
    )
