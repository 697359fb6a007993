"""What uploaders say of all rows of a file."""

from alembic import op

from shared.imports.schema import file_terms_v1

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for statement in file_terms_v1("inventory"):
        op.execute(statement)
