"""Versions of price lists; prices on request, with dates, and of one fulfilment centre (CAT-3)."""

from alembic import op

from shared.history import watch_v1
from shared.set_keys import key_in_sets_v1

revision = "0007"
down_revision = "0006"

_LISTS = """
ALTER TABLE catalog.price_lists
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD CHECK (currency ~ '^[A-Z]{3}$'),
    ADD CHECK (customer_group <> '')"""
# A price without a beginning, or for every centre, has values that say so: a key has no nulls.
_PRICES = """
ALTER TABLE catalog.prices
    ALTER COLUMN price DROP NOT NULL,
    ADD COLUMN centre text NOT NULL DEFAULT '',
    ADD COLUMN starts_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN ends_at timestamptz,
    ADD CHECK (ends_at > starts_at),
    ADD CHECK (price IS NOT NULL OR list_price IS NULL),
    DROP CONSTRAINT prices_pkey,
    ADD PRIMARY KEY (organization_id, variant_id, price_list_id, minimum_quantity, centre, starts_at)"""
_DATED = """
CREATE INDEX prices_dated ON catalog.prices (organization_id, price_list_id)
    WHERE starts_at > '-infinity' OR ends_at IS NOT NULL"""

# A price's history goes by its whole key: what m0003 made is made anew in place.
_OF_VARIANT = (
    "(SELECT v.product_id FROM catalog.variants v WHERE (v.organization_id, v.id) = (r.organization_id, r.variant_id))"
)
_WATCHED = [
    statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
    for statement in watch_v1(
        "catalog",
        "prices",
        entity="price",
        key=("price_list_id", "variant_id", "minimum_quantity", "centre", "starts_at"),
        subject=_OF_VARIANT,
        born=True,
    )
    if "CREATE FUNCTION" in statement
]


def upgrade() -> None:
    for statement in (
        _LISTS,
        _PRICES,
        _DATED,
        *_WATCHED,
        *key_in_sets_v1("catalog", "prices", "price_list_id", "price_lists", goes_along=True),
    ):
        op.execute(statement)
