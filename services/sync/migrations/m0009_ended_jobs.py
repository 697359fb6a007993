"""Jobs that ended long ago can be dropped."""

from alembic import op

from shared.messaging.schema import ended_jobs_v1, roles

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for statement in ended_jobs_v1("sync"):
        op.execute(statement)
    _, system_role = roles("sync")
    op.execute(f"CREATE POLICY across_tenants ON sync.executions TO {system_role} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, DELETE ON sync.executions TO {system_role}")
