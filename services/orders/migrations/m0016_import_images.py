"""What was before imports, so that they can be taken back."""

from alembic import op

from shared.imports.schema import images_v1
from shared.messaging.schema import roles

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for statement in images_v1("orders"):
        op.execute(statement)
    # Customers that an import made go with it, unless anything refers to them.
    op.execute(f"GRANT DELETE ON orders.customers TO {roles('orders')[0]}")
