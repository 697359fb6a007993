"""Changes of orders that are held until the order's own event confirms them."""

from alembic import op

from shared.messaging.schema import guard

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for statement in _AMENDMENTS.split(";\n"):
        op.execute(statement)
    for statement in guard("inventory", "amendment_withdrawals"):
        op.execute(statement)


# An amendment is a reservation of its own: what it adds is held like any other stock. What it takes away from the
# order's reservation is bound there meanwhile. `lines_version`: of the order whose lines the reservation has.
_AMENDMENTS = """
ALTER TABLE inventory.reservations
    ADD COLUMN amends uuid,
    ADD COLUMN request json,
    ADD COLUMN lines_version bigint NOT NULL DEFAULT 0,
    ADD FOREIGN KEY (organization_id, amends) REFERENCES inventory.reservations,
    ADD CHECK ((amends IS NULL) = (request IS NULL));
CREATE INDEX reservations_amends ON inventory.reservations (organization_id, amends) WHERE amends IS NOT NULL;
CREATE TABLE inventory.amendment_withdrawals (
    organization_id uuid NOT NULL,
    amendment_id uuid NOT NULL,
    kit text NOT NULL,
    sku text NOT NULL,
    centre_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (organization_id, amendment_id, kit, sku, centre_id),
    FOREIGN KEY (organization_id, amendment_id) REFERENCES inventory.reservations
)"""
