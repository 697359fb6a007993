"""Imports as every service has them: modes, holds, samples, conflicts."""

from alembic import op

from shared.imports.schema import imports_v1
from shared.messaging.schema import guard

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("DROP TABLE catalog.import_remarks")
    op.execute("DROP TABLE catalog.imports")
    for statement in imports_v1("catalog"):
        op.execute(statement)
    for statement in _DROP_FOLDERS.split(";\n"):
        op.execute(statement)
    for table in ("drop_folders", "drop_files"):
        for statement in guard("catalog", table):
            op.execute(statement)


_DROP_FOLDERS = """
CREATE TABLE catalog.drop_folders (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    rules jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(rules) = 'array'),
    last_import_id uuid,
    reindex_after_import boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, shop_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES catalog.shops ON DELETE CASCADE
);
CREATE TABLE catalog.drop_files (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    modified_ns bigint NOT NULL,
    is_told boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, shop_id, name),
    FOREIGN KEY (organization_id, shop_id) REFERENCES catalog.shops ON DELETE CASCADE
)"""
