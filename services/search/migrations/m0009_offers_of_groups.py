"""Offers as customer groups see them, where prices are others for them.

Nothing was known of that before: what is offered is built anew, behind single changes. Only catalog knows which shops
have price lists for groups.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("ALTER TABLE search.documents ADD COLUMN groups bytea")
    op.execute(
        "INSERT INTO search.marks (organization_id, shop_id, product_id, is_bulk)"
        " SELECT organization_id, shop_id, product_id, true FROM search.documents WHERE NOT is_deleted"
    )
