"""A change that failed says in which run, so that just those of a run are tried again."""

from alembic import op

revision = "0011"
down_revision = "0010"

_CHANGES = """
ALTER TABLE sync.changes ADD COLUMN run_id uuid;
COMMENT ON COLUMN sync.changes.run_id IS 'The execution in which it failed last, or which is to try it again';
CREATE INDEX changes_failed ON sync.changes (organization_id, run_id) WHERE state = 'failed'"""


def upgrade() -> None:
    for statement in _CHANGES.split(";\n"):
        op.execute(statement)
