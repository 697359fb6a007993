"""What was exported, and how it was asked for; how far one came, and its file, are in its job's row."""

from alembic import op

from shared.messaging.schema import guard

revision = "0009"
down_revision = "0008"

_TABLE = """
CREATE TABLE catalog.exports (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    item_group text NOT NULL CHECK (item_group IN ('products', 'variants', 'prices', 'categories')),
    format text NOT NULL CHECK (format IN ('csv', 'ndjson', 'parquet', 'xlsx')),
    profile text NOT NULL,
    zipped boolean NOT NULL,
    shop_id uuid,
    filter jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, job_id) REFERENCES catalog.jobs
)"""


def upgrade() -> None:
    op.execute(_TABLE)
    for statement in guard("catalog", "exports", system="SELECT", grants="SELECT, INSERT"):
        op.execute(statement)
