"""What uploaders say of all rows of a file."""

from alembic import op

from shared.imports.schema import file_terms_v1

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for statement in file_terms_v1("orders"):
        op.execute(statement)
