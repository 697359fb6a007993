"""Exports as JSON arrays."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE catalog.exports DROP CONSTRAINT exports_format_check, ADD CONSTRAINT exports_format_check"
        " CHECK (format IN ('csv', 'ndjson', 'json', 'parquet', 'xlsx'))"
    )
