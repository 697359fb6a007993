"""Reconciliation: what providers know is kept until it was compared, differences for as long as anybody asks."""

from alembic import op

from shared.messaging.schema import guard

revision = "0006"
down_revision = "0005"

_TABLES = """
CREATE TABLE payments.reconciliations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    source text NOT NULL CHECK (source IN ('api', 'file')),
    since timestamptz,
    until timestamptz,
    is_scheduled boolean NOT NULL DEFAULT false,
    job_id uuid NOT NULL,
    layout text,
    file_name text,
    asked_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways,
    FOREIGN KEY (organization_id, job_id) REFERENCES payments.jobs,
    CHECK (since < until),
    CHECK (source = 'file' OR (since IS NOT NULL AND until IS NOT NULL))
);
CREATE INDEX reconciliations_gateway ON payments.reconciliations (organization_id, gateway_id, id);
CREATE UNIQUE INDEX reconciliations_scheduled ON payments.reconciliations (organization_id, gateway_id, until)
    WHERE is_scheduled;
CREATE TABLE payments.reconciliation_facts (
    organization_id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    reference text NOT NULL,
    payment text NOT NULL,
    names text[] NOT NULL,
    speaks_of_payment boolean NOT NULL,
    said json,
    problem text,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, reconciliation_id, reference),
    FOREIGN KEY (organization_id, reconciliation_id) REFERENCES payments.reconciliations
);
CREATE INDEX reconciliation_facts_payment ON payments.reconciliation_facts
    (organization_id, reconciliation_id, payment);
CREATE TABLE payments.differences (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    payment text NOT NULL,
    payment_id uuid,
    order_number text,
    currency text,
    amount_there bigint NOT NULL,
    amount_here bigint NOT NULL,
    detail text NOT NULL,
    is_repairable boolean NOT NULL,
    said json,
    told_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'waiting', 'repaired', 'matched', 'dismissed', 'superseded')),
    callback_id uuid,
    reason text,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    looked_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, reconciliation_id, kind, reference),
    FOREIGN KEY (organization_id, reconciliation_id) REFERENCES payments.reconciliations,
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways
);
CREATE INDEX differences_open ON payments.differences (organization_id, gateway_id, looked_at)
    WHERE state IN ('open', 'waiting');
CREATE INDEX payments_made ON payments.payments (organization_id, gateway_id, created_at)"""

_CHANGES = (
    # What a repair brings in is a callback of ours, processed as any other.
    "ALTER TABLE payments.callbacks ADD COLUMN origin text NOT NULL DEFAULT 'callback'"
    " CHECK (origin IN ('callback', 'reconciliation'))",
    "ALTER TABLE payments.callback_attempts DROP CONSTRAINT callback_attempts_kind_check,"
    " ADD CONSTRAINT callback_attempts_kind_check"
    " CHECK (kind IN ('processing', 'check', 'replay', 'accept', 'reject', 'repair'))",
    "GRANT INSERT ON payments.callbacks TO crossdock_payments",
)

# For the clock, which looks across tenants for gateways that are due: no settings, and nothing of what is sealed.
_SEEN_BY_CLOCK = {
    "gateways": "organization_id, id, provider, is_enabled",
    "gateway_credentials": "organization_id, gateway_id",
    "reconciliations": "organization_id, gateway_id, until, is_scheduled",
    "differences": "organization_id, gateway_id, kind, state",
}


def upgrade() -> None:
    for statement in (*_TABLES.split(";\n"), *_CHANGES):
        op.execute(statement)
    for statement in guard("payments", "reconciliations", grants="SELECT, INSERT"):
        op.execute(statement)
    for statement in guard("payments", "reconciliation_facts"):
        op.execute(statement)
    for statement in guard("payments", "differences", grants="SELECT, INSERT, UPDATE"):
        op.execute(statement)
    for table, columns in _SEEN_BY_CLOCK.items():
        op.execute(f"CREATE POLICY clock_sees ON payments.{table} FOR SELECT TO crossdock_payments_system USING (true)")
        op.execute(f"GRANT SELECT ({columns}) ON payments.{table} TO crossdock_payments_system")
