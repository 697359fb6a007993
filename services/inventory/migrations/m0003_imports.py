"""Imports of stock."""

from alembic import op

from shared.imports.schema import imports_v1

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for statement in imports_v1("inventory"):
        op.execute(statement)
