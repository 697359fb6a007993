"""What marks are for, and what was seen of stock: where only its numbers changed, an offer is not built from nothing.

Documents of before know nothing of their stock, and are built in full once more when it changes.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE search.marks ADD COLUMN of_stock boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE search.documents ADD COLUMN stock_from bigint NOT NULL DEFAULT 0, ADD COLUMN basis bytea")
