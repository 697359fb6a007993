"""`crossdock check` finds across tenants whose stock there is to check."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        "CREATE POLICY across_tenants ON inventory.fulfilment_centres FOR SELECT"
        " TO crossdock_inventory_system USING (true)"
    )
    op.execute("GRANT SELECT (organization_id) ON inventory.fulfilment_centres TO crossdock_inventory_system")
