"""The tables every service has: outbox, deliveries, inbox, tasks, jobs, audit, idempotency."""

from alembic import op

from shared.messaging.schema import plumbing_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in plumbing_v1("sync"):
        op.execute(statement)
