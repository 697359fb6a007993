"""What was before imports, so that they can be taken back."""

from alembic import op

from shared.imports.schema import images_v1
from shared.messaging.schema import roles

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    for statement in images_v1("inventory"):
        op.execute(statement)
    op.execute(f"GRANT DELETE ON inventory.suppliers TO {roles('inventory')[0]}")
