"""Orders that wait aside are issues of their connection: what was told of each last."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE sync.listings ADD COLUMN order_version bigint NOT NULL DEFAULT 0")
    op.execute("COMMENT ON COLUMN sync.listings.order_version IS 'Of what orders has told of it: the newest'")
