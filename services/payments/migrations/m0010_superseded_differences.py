"""Superseded differences are removed after a time; nothing else of reconciliation is the clock's to remove."""

from alembic import op

revision = "0010"
down_revision = "0009"

_SYSTEM = "crossdock_payments_system"


def upgrade() -> None:
    op.execute("CREATE INDEX differences_superseded ON payments.differences (changed_at) WHERE state = 'superseded'")
    op.execute(
        f"CREATE POLICY clock_removes ON payments.differences FOR DELETE TO {_SYSTEM} USING (state = 'superseded')"
    )
    op.execute(f"GRANT SELECT (id, changed_at), DELETE ON payments.differences TO {_SYSTEM}")
