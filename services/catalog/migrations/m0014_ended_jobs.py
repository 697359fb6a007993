"""Jobs that ended long ago can be dropped."""

from alembic import op

from shared.messaging.schema import ended_jobs_v1

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for statement in ended_jobs_v1("catalog"):
        op.execute(statement)
