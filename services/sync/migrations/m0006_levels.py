"""Stock levels of what was made on a platform are looked for there."""

from alembic import op

revision = "0006"
down_revision = "0005"

_CHANGES = """
ALTER TABLE sync.connections ADD COLUMN levels_since timestamptz;
ALTER TABLE sync.connections ADD COLUMN levels_wanted integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN sync.connections.levels_since IS 'Since when there may be stock levels there that no scan has seen';
COMMENT ON COLUMN sync.connections.levels_wanted IS 'How often something was made there since they were looked for'"""


def upgrade() -> None:
    for statement in _CHANGES.split(";\n"):
        op.execute(statement)
