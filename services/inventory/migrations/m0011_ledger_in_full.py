"""Why stock was changed in a person's words, goods moved between centres, what is low, centres that were removed."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for statement in (*_LEDGER.split(";\n"), *_CENTRES.split(";\n")):
        op.execute(statement)


# A reference takes effect once per SKU and centre, whatever of these it was for.
_LEDGER = """
ALTER TABLE inventory.stock_movements DROP CONSTRAINT stock_movements_reason_check;
ALTER TABLE inventory.stock_movements ADD CONSTRAINT stock_movements_reason_check CHECK (reason IN
    ('counted', 'adjusted', 'moved', 'received', 'returned', 'reserved', 'released', 'expired', 'shipped'));
ALTER TABLE inventory.stock_movements ADD COLUMN note text CHECK (note <> '');
DROP INDEX inventory.stock_movements_reference;
CREATE UNIQUE INDEX stock_movements_reference ON inventory.stock_movements (organization_id, sku, centre_id, reference)
    WHERE reference IS NOT NULL AND reason IN ('counted', 'adjusted', 'moved');
CREATE INDEX stock_movements_found ON inventory.stock_movements (organization_id, reference, id)
    WHERE reference IS NOT NULL;
CREATE INDEX stock_low ON inventory.stock (organization_id, sku, centre_id)
    WHERE warning_level IS NOT NULL AND on_hand - reserved <= warning_level"""

# A removed centre stays, for the ledger names it; its code can be given again.
_CENTRES = """
ALTER TABLE inventory.fulfilment_centres ADD COLUMN removed_at timestamptz CHECK (removed_at IS NULL OR NOT is_default);
ALTER TABLE inventory.fulfilment_centres DROP CONSTRAINT fulfilment_centres_organization_id_code_key;
CREATE UNIQUE INDEX fulfilment_centres_code ON inventory.fulfilment_centres (organization_id, code)
    WHERE removed_at IS NULL"""
