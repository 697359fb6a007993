"""The tables every service keeps for messaging, tasks, jobs, audit and idempotency; and how tenant tables are guarded.

Called by each service's migrations, so what has been released here never changes: a change is a new function.
"""

from collections.abc import Sequence

# Rows outside one tenant (schedules) have no organization; everything else is guarded by it.
TENANT = "(select nullif(current_setting('crossdock.organization_id', true), '')::uuid)"


def roles(service: str) -> tuple[str, str]:
    """The role that works inside one organization, and the one that works across them."""
    return f"crossdock_{service}", f"crossdock_{service}_system"


def guard(service: str, table: str, *, system: str = "", grants: str = "SELECT, INSERT, UPDATE, DELETE") -> list[str]:
    """Statements that put `table` under its tenant's policy, forced; `system`: what the system role may do there."""
    role, system_role = roles(service)
    name = f"{service}.{table}"
    statements = [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {name} TO {role} USING (organization_id = {TENANT}) "
        f"WITH CHECK (organization_id = {TENANT})",
        f"GRANT {grants} ON {name} TO {role}",
    ]
    if system:
        statements += [
            f"CREATE POLICY across_tenants ON {name} TO {system_role} USING (true) WITH CHECK (true)",
            f"GRANT {system} ON {name} TO {system_role}",
        ]
    return statements


def plumbing_v1(service: str) -> Sequence[str]:
    """Statements that create the tables every service has, in its own schema."""
    _, system_role = roles(service)
    return [
        *_EVENTS.replace("{s}", service).split(";\n"),
        *guard(service, "outbox", system="SELECT, DELETE", grants="SELECT, INSERT"),
        *guard(service, "deliveries", system="SELECT, UPDATE, DELETE"),
        *guard(service, "inbox", system="SELECT, DELETE", grants="SELECT, INSERT"),
        *_WORK.replace("{s}", service).split(";\n"),
        *guard(service, "tasks", system="SELECT, INSERT, UPDATE, DELETE"),
        *guard(service, "jobs", system="SELECT, UPDATE"),
        f"GRANT SELECT, INSERT, UPDATE ON {service}.schedules TO {system_role}",
        *_RECORDS.replace("{s}", service).split(";\n"),
        *guard(service, "audit_entries", grants="SELECT, INSERT"),
        *guard(service, "idempotency", system="SELECT, DELETE", grants="SELECT, INSERT, UPDATE"),
    ]


_EVENTS = """
CREATE TABLE {s}.outbox (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    payload json NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX outbox_age ON {s}.outbox (occurred_at);
CREATE TABLE {s}.deliveries (
    organization_id uuid NOT NULL,
    event_id uuid NOT NULL,
    listener text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    failures integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error text,
    parked_at timestamptz,
    PRIMARY KEY (organization_id, event_id, listener),
    FOREIGN KEY (organization_id, event_id) REFERENCES {s}.outbox
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX deliveries_due ON {s}.deliveries (next_attempt_at) WHERE parked_at IS NULL;
CREATE INDEX deliveries_parked ON {s}.deliveries (organization_id, parked_at) WHERE parked_at IS NOT NULL;
CREATE TABLE {s}.inbox (
    organization_id uuid NOT NULL,
    event_id uuid NOT NULL,
    producer text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, event_id)
);
CREATE INDEX inbox_age ON {s}.inbox (received_at)"""

_WORK = """
CREATE TABLE {s}.tasks (
    organization_id uuid,
    id uuid NOT NULL,
    kind text NOT NULL,
    payload json NOT NULL,
    due_at timestamptz NOT NULL,
    unique_key text,
    claim uuid,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    parked_at timestamptz,
    UNIQUE NULLS NOT DISTINCT (organization_id, id)
);
CREATE INDEX tasks_due ON {s}.tasks (due_at) WHERE parked_at IS NULL;
CREATE UNIQUE INDEX tasks_once ON {s}.tasks (organization_id, kind, unique_key) NULLS NOT DISTINCT
    WHERE unique_key IS NOT NULL;
CREATE TABLE {s}.schedules (
    name text PRIMARY KEY,
    next_run_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {s}.jobs (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    parameters json NOT NULL,
    checkpoint json NOT NULL DEFAULT '{}',
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    counters json NOT NULL DEFAULT '{}',
    result_files json NOT NULL DEFAULT '[]',
    log json NOT NULL DEFAULT '[]',
    error json,
    requested_by json NOT NULL,
    cancel_requested boolean NOT NULL DEFAULT false,
    run_id uuid,
    lease_until timestamptz NOT NULL DEFAULT now(),
    runs integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX jobs_open ON {s}.jobs (lease_until) WHERE state IN ('queued', 'running')"""

_RECORDS = """
CREATE TABLE {s}.audit_entries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    actor json NOT NULL,
    action text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    before json,
    after json,
    reason text,
    request_id text,
    PRIMARY KEY (organization_id, id)
);
CREATE TABLE {s}.idempotency (
    organization_id uuid NOT NULL,
    client_id uuid NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, client_id, key)
);
CREATE INDEX idempotency_age ON {s}.idempotency (created_at)"""


def ended_jobs_v1(service: str) -> Sequence[str]:
    """Statements by which jobs that ended long ago can be dropped, unless something of the service still names them.

    The function runs with the rights of the migrating role: it looks past the tenants' policies.
    """
    _, system_role = roles(service)
    return [
        f"CREATE INDEX jobs_ended ON {service}.jobs (finished_at) WHERE finished_at IS NOT NULL",
        _DROP_ENDED_JOBS.replace("{s}", service),
        f"REVOKE ALL ON FUNCTION {service}.drop_ended_jobs(interval, integer) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {service}.drop_ended_jobs(interval, integer) TO {system_role}",
    ]


_DROP_ENDED_JOBS = """
CREATE FUNCTION {s}.drop_ended_jobs(kept interval, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {s}, pg_temp AS $$
DECLARE
    unnamed text;
    dropped integer;
BEGIN
    SELECT coalesce(string_agg(format(' AND NOT EXISTS (SELECT FROM %s r WHERE r.organization_id = j.organization_id'
        ' AND r.%I = j.id)', c.conrelid::regclass, a.attname), ''), '')
    INTO unnamed
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[2]
    WHERE c.confrelid = '{s}.jobs'::regclass AND c.contype = 'f';
    EXECUTE 'DELETE FROM jobs WHERE (organization_id, id) IN (SELECT j.organization_id, j.id FROM jobs j'
        ' WHERE j.finished_at < now() - $1' || unnamed || ' ORDER BY j.finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)'
    USING kept, most;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$"""
