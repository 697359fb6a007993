"""The records of a kind are walked through by id, some at a time, however many there are."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("CREATE INDEX listings_walked ON sync.listings (organization_id, connection_id, entity, id)")
