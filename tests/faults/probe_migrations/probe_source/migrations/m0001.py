from alembic import op

from shared.messaging.schema import guard, plumbing_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE probe_source.drawn (organization_id uuid NOT NULL, number integer NOT NULL,"
        " PRIMARY KEY (organization_id, number))"
    )
    for statement in [*plumbing_v1("probe_source"), *guard("probe_source", "drawn", system="SELECT")]:
        op.execute(statement)
