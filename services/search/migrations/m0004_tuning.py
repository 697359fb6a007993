"""How a merchant tunes a shop's search."""

from alembic import op

from shared.messaging.schema import guard

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(_TUNING)
    for statement in guard("search", "tunings"):
        op.execute(statement)
    op.execute("ALTER TABLE search.indexes ADD COLUMN tuning_version integer NOT NULL DEFAULT 0")


# `indexes` says which version there is, so that readers see it where they look anyway.
_TUNING = """
CREATE TABLE search.tunings (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    tuning jsonb NOT NULL,
    PRIMARY KEY (organization_id, shop_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES search.indexes ON DELETE CASCADE
)"""
