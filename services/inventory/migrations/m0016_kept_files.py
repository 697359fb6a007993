"""Files of imports and stock checks are kept for a time; a counted file may be fetched from an address."""

from alembic import op

from shared.imports.schema import kept_files_v1

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for table in ("imports", "stock_checks"):
        for statement in kept_files_v1("inventory", table):
            op.execute(statement)
    # Rows came with the request; or a file did, or is fetched from `url` to `key`.
    op.execute(
        "ALTER TABLE inventory.stock_checks ADD COLUMN url text, DROP CONSTRAINT stock_checks_check,"
        " ADD CONSTRAINT stock_checks_source CHECK ((rows IS NULL) = (key IS NOT NULL OR url IS NOT NULL))"
    )
