"""Files of imports are kept for a time."""

from alembic import op

from shared.imports.schema import kept_files_v1

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for statement in kept_files_v1("orders", "imports"):
        op.execute(statement)
