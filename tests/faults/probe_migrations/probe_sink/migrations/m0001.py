from alembic import op

from shared.messaging.schema import guard, plumbing_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE probe_sink.heard (organization_id uuid NOT NULL, number integer NOT NULL)")
    for statement in [*plumbing_v1("probe_sink"), *guard("probe_sink", "heard", system="SELECT")]:
        op.execute(statement)
