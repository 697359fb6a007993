"""What products, their variants, prices, texts and places were before (CAT-15)."""

from alembic import op

from shared.history import history_v1, watch_v1

revision = "0003"
down_revision = "0002"

_OF_VARIANT = (
    "(SELECT v.product_id FROM catalog.variants v WHERE (v.organization_id, v.id) = (r.organization_id, r.variant_id))"
)


def upgrade() -> None:
    for statement in (
        *history_v1("catalog"),
        *watch_v1("catalog", "products", entity="product", key=("id",), subject="r.id", born=True),
        *watch_v1("catalog", "variants", entity="variant", key=("id",), subject="r.product_id", born=True),
        *watch_v1(
            "catalog",
            "prices",
            entity="price",
            key=("price_list_id", "variant_id", "minimum_quantity"),
            subject=_OF_VARIANT,
            born=True,
        ),
        *watch_v1(
            "catalog",
            "product_categories",
            entity="membership",
            key=("product_id", "category_id"),
            subject="r.product_id",
            born=True,
        ),
        *watch_v1("catalog", "product_texts", entity="text", key=("product_id", "locale"), subject="r.product_id"),
        *watch_v1("catalog", "categories", entity="category", key=("id",), subject="r.id", born=True),
        *watch_v1("catalog", "price_lists", entity="price_list", key=("id",), subject="r.id"),
        # Before its variant goes a price has to go by itself: afterwards nobody knows whose it was.
        "ALTER TABLE catalog.prices DROP CONSTRAINT prices_organization_id_variant_id_fkey",
        "ALTER TABLE catalog.prices ADD FOREIGN KEY (organization_id, variant_id) REFERENCES catalog.variants",
    ):
        op.execute(statement)
