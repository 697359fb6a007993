"""Which record a product, or a variant, came here by."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE sync.listings ADD COLUMN is_source boolean NOT NULL DEFAULT false")
    op.execute("COMMENT ON COLUMN sync.listings.is_source IS 'What it is here was made here of this record'")
