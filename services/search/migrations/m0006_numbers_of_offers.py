"""Offers that were products without an offer first had no number of their own, and lists passed them by."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(_NUMBER)
    op.execute(_COUNT_ON)


_NUMBER = """
UPDATE search.documents d SET number = n.number FROM (
    SELECT d.organization_id, d.shop_id, d.product_id, i.last_number
        + row_number() OVER (PARTITION BY d.organization_id, d.shop_id ORDER BY d.product_id) AS number
    FROM search.documents d JOIN search.indexes i ON (i.organization_id, i.shop_id) = (d.organization_id, d.shop_id)
    WHERE d.number = 0 AND NOT d.is_deleted
) n WHERE (n.organization_id, n.shop_id, n.product_id) = (d.organization_id, d.shop_id, d.product_id)"""
# In a new generation readers fill their indexes anew.
_COUNT_ON = """
UPDATE search.indexes i SET generation = generation + 1, last_number = greatest(i.last_number, d.number) FROM (
    SELECT organization_id, shop_id, max(number) AS number FROM search.documents GROUP BY 1, 2
) d WHERE (d.organization_id, d.shop_id) = (i.organization_id, i.shop_id) AND d.number > 0"""
