"""Keys of the tables that imports fill, checked in sets: row by row they were three fifths of an import's cost."""

from alembic import op

from shared.set_keys import key_in_sets_v1

revision = "0006"
down_revision = "0005"

_REPLACED = (
    ("variants", "product_id", "products", True),
    # Prices leave before their variant: afterwards nobody knows whose they were.
    ("prices", "variant_id", "variants", False),
    ("product_categories", "product_id", "products", True),
    ("product_categories", "category_id", "categories", True),
)


def upgrade() -> None:
    for child, column, parent, goes_along in _REPLACED:
        op.execute(f"ALTER TABLE catalog.{child} DROP CONSTRAINT {child}_organization_id_{column}_fkey")
        for statement in key_in_sets_v1("catalog", child, column, parent, goes_along=goes_along):
            op.execute(statement)
