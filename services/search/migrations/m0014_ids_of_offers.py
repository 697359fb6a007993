"""Offers say which id they have: what was built before is built anew, behind single changes."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        "INSERT INTO search.marks (organization_id, shop_id, product_id, is_bulk)"
        " SELECT organization_id, shop_id, product_id, true FROM search.documents WHERE NOT is_deleted"
    )
