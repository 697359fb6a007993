"""What every service announces, listed in one place: jobs, the audit log, alerts."""

from alembic import op

from shared.messaging.schema import guard

revision = "0004"
down_revision = "0003"

_TABLES = """
CREATE TABLE accounts.listed_jobs (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    service text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    requested_by uuid,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    job json NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX listed_jobs_newest ON accounts.listed_jobs (organization_id, created_at DESC, id DESC);
CREATE TABLE accounts.audit_log (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    service text NOT NULL,
    occurred_at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    entry json NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX audit_log_newest ON accounts.audit_log (organization_id, occurred_at DESC, id DESC);
CREATE INDEX audit_log_actor ON accounts.audit_log (organization_id, actor_id, occurred_at DESC, id DESC);
CREATE INDEX audit_log_subject ON accounts.audit_log (organization_id, subject_kind, subject_id, occurred_at DESC);
CREATE TABLE accounts.alerts (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    service text NOT NULL,
    cause text NOT NULL,
    severity text CHECK (severity IN ('info', 'warning', 'error')),
    title text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    shop_id uuid,
    subject_kind text,
    subject_id text,
    data json NOT NULL DEFAULT '{}',
    count integer NOT NULL DEFAULT 0,
    first_raised_at timestamptz,
    last_raised_at timestamptz,
    cleared_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by json,
    note text,
    mailed_at timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT alerts_are_one_per_cause UNIQUE (organization_id, service, cause),
    CHECK ((last_raised_at IS NULL) = (severity IS NULL) AND (last_raised_at IS NULL) = (first_raised_at IS NULL))
);
CREATE INDEX alerts_newest ON accounts.alerts (organization_id, last_raised_at DESC, id DESC)
"""


def upgrade() -> None:
    statements = _TABLES.split(";\n")
    statements += guard("accounts", "listed_jobs", grants="SELECT, INSERT, UPDATE")
    statements += guard("accounts", "audit_log", grants="SELECT, INSERT")
    statements += guard("accounts", "alerts", grants="SELECT, INSERT, UPDATE")
    for statement in statements:
        op.execute(statement)
