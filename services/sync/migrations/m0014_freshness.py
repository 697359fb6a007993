"""Since when what we have may not be on a platform: of records to be compared, and of what is to be written."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("ALTER TABLE sync.listings ADD COLUMN stale_since timestamptz")
    op.execute("ALTER TABLE sync.changes ADD COLUMN wanted_since timestamptz")
