"""Stock is held to its centre once per statement: row by row it was a fifth of what a file of counts costs."""

from alembic import op

from shared.set_keys import arriving_in_sets_v2, key_in_sets_v1

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("ALTER TABLE inventory.stock DROP CONSTRAINT stock_organization_id_centre_id_fkey")
    for statement in key_in_sets_v1("inventory", "stock", "centre_id", "fulfilment_centres", goes_along=False):
        op.execute(statement)
    op.execute(arriving_in_sets_v2("inventory", "stock", "centre_id", "fulfilment_centres"))
