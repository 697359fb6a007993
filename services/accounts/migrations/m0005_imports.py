"""The list of the imports of all services."""

from alembic import op

from shared.messaging.schema import guard

revision = "0005"
down_revision = "0004"

_TABLE = """
CREATE TABLE accounts.listed_imports (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    service text NOT NULL,
    item_group text NOT NULL,
    job_id uuid NOT NULL,
    undo_job_id uuid,
    is_held boolean NOT NULL,
    shop_id uuid,
    shop text,
    requested_by uuid,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    import json NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX listed_imports_newest ON accounts.listed_imports (organization_id, created_at DESC, id DESC)"""


def upgrade() -> None:
    for statement in (
        *_TABLE.split(";\n"),
        *guard("accounts", "listed_imports", grants="SELECT, INSERT, UPDATE"),
    ):
        op.execute(statement)
