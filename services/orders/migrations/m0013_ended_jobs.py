"""Jobs that ended long ago can be dropped."""

from alembic import op

from shared.messaging.schema import ended_jobs_v1

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for statement in ended_jobs_v1("orders"):
        op.execute(statement)
