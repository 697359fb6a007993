"""Which parts of files of products were counted, with what the ledger does not tell; and which were taken back."""

from alembic import op

from shared.messaging.schema import guard

revision = "0023"
down_revision = "0022"

_TABLES = """
CREATE TABLE inventory.file_stock_parts (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    part integer NOT NULL CHECK (part >= 0),
    centre_id uuid NOT NULL,
    counted_at timestamptz NOT NULL,
    -- By SKU the policy before and after, where the file changed it.
    policies jsonb NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, import_id, part)
);
CREATE INDEX file_stock_parts_taken ON inventory.file_stock_parts (taken_at);
CREATE TABLE inventory.file_stock_taken_back (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, import_id)
)"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table in ("file_stock_parts", "file_stock_taken_back"):
        for statement in guard("inventory", table, system="SELECT, DELETE"):
            op.execute(statement)
