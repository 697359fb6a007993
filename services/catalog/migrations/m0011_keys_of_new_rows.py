"""Rows that come with their parents in one transaction are checked without locking these."""

from alembic import op

from shared.set_keys import arriving_in_sets_v2

revision = "0011"
down_revision = "0010"

_HELD = (
    ("variants", "product_id", "products"),
    ("prices", "variant_id", "variants"),
    ("prices", "price_list_id", "price_lists"),
    ("product_categories", "product_id", "products"),
    ("product_categories", "category_id", "categories"),
)


def upgrade() -> None:
    for child, column, parent in _HELD:
        op.execute(arriving_in_sets_v2("catalog", child, column, parent))
