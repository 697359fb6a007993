"""A row of stock changes in place: an index whose condition speaks of what is on hand or reserved would make each
change of them an entry in every index of the table. What is low is found among what has a level.
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("DROP INDEX inventory.stock_low")
    op.execute(
        "CREATE INDEX stock_watched ON inventory.stock (organization_id, sku, centre_id)"
        " WHERE warning_level IS NOT NULL"
    )
    # And it finds room beside itself.
    op.execute("ALTER TABLE inventory.stock SET (fillfactor = 60)")
