"""Callbacks as received, and the role of the intake: it may add rows and read none of what they hold."""

from alembic import op

from shared.messaging.schema import guard

revision = "0003"
down_revision = "0002"

_INTAKE = "crossdock_payments_intake"

_TABLES = """
CREATE TABLE payments.callbacks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    identity bytea NOT NULL,
    digest bytea NOT NULL,
    event_id text,
    event text,
    body bytea NOT NULL,
    headers json NOT NULL,
    source_address text,
    received_at timestamptz NOT NULL,
    is_verified boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('received', 'waiting', 'retrying', 'processed', 'ignored', 'failed',
        'invalid', 'rejected')),
    reason text,
    detail text,
    payment_id uuid,
    awaited_order text,
    awaited_payment text,
    body_dropped_at timestamptz,
    repeats integer NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, gateway_id, identity),
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways,
    CHECK (status NOT IN ('received', 'waiting', 'retrying', 'processed', 'ignored') OR is_verified)
);
CREATE INDEX callbacks_status ON payments.callbacks (organization_id, status, id);
CREATE INDEX callbacks_awaited_order ON payments.callbacks (organization_id, awaited_order)
    WHERE awaited_order IS NOT NULL;
CREATE INDEX callbacks_awaited_payment ON payments.callbacks (organization_id, gateway_id, awaited_payment)
    WHERE awaited_payment IS NOT NULL;
CREATE INDEX callbacks_invalid ON payments.callbacks (received_at) WHERE status = 'invalid' AND body_dropped_at IS NULL;
CREATE TABLE payments.callback_repeats (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    identity bytea NOT NULL,
    deliveries integer NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX callback_repeats_identity ON payments.callback_repeats (organization_id, gateway_id, identity);
CREATE TABLE payments.callback_overflows (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    callbacks integer NOT NULL,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX callback_overflows_gateway ON payments.callback_overflows (organization_id, gateway_id);
CREATE TABLE payments.callback_attempts (
    organization_id uuid NOT NULL,
    callback_id uuid NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('processing', 'replay', 'reject')),
    actor text NOT NULL,
    status text NOT NULL,
    reason text,
    detail text,
    PRIMARY KEY (organization_id, callback_id, number),
    FOREIGN KEY (organization_id, callback_id) REFERENCES payments.callbacks
);
CREATE TABLE payments.events (
    organization_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    event_id text NOT NULL,
    callback_id uuid NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (organization_id, gateway_id, event_id),
    FOREIGN KEY (organization_id, callback_id) REFERENCES payments.callbacks
)"""

# Runs with the rights of the migrating role: it looks past the tenants' policies, and gives sealed secrets only.
_FIND_GATEWAY = """
CREATE FUNCTION payments.find_gateway(sought uuid)
RETURNS TABLE (organization_id uuid, provider text, settings json, allowed_networks json, secrets text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = payments, pg_temp AS $$
    SELECT g.organization_id, g.provider, g.settings, g.allowed_networks,
        ARRAY(SELECT s.sealed FROM gateway_secrets s WHERE (s.organization_id, s.gateway_id) = (g.organization_id, g.id)
            AND s.retired_at IS NULL ORDER BY s.created_at DESC)
    FROM gateways g WHERE g.id = sought AND g.is_enabled
$$"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table, system in _SYSTEM_RIGHTS.items():
        for statement in guard("payments", table, system=system, grants=_RIGHTS[table]):
            op.execute(statement)
    for table in ("callback_attempts", "events"):
        for statement in guard("payments", table, grants="SELECT, INSERT"):
            op.execute(statement)
    for statement in _intake():
        op.execute(statement)


# Nothing is erased: the service itself may not delete a callback, an attempt or an event.
# Repeats and overflows are numbers: the clock adds them up and removes their rows.
_SYSTEM_RIGHTS = {
    "callbacks": "SELECT, UPDATE",
    "callback_repeats": "SELECT, DELETE",
    "callback_overflows": "SELECT, INSERT, DELETE",
}
_RIGHTS = {"callbacks": "SELECT, UPDATE", "callback_repeats": "SELECT", "callback_overflows": "SELECT"}


def _intake() -> list[str]:
    tables = ("callbacks", "callback_repeats", "callback_overflows", "tasks")
    return [
        f"DO $$ BEGIN CREATE ROLE {_INTAKE} NOLOGIN NOSUPERUSER NOBYPASSRLS; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        "SELECT pg_advisory_xact_lock(hashtext('crossdock roles'))",
        f"GRANT {_INTAKE} TO crossdock_app",
        f"GRANT USAGE ON SCHEMA payments TO {_INTAKE}",
        *(f"GRANT INSERT ON payments.{table} TO {_INTAKE}" for table in tables),
        *(
            f"CREATE POLICY intake_adds ON payments.{table} FOR INSERT TO {_INTAKE} WITH CHECK (true)"
            for table in tables
        ),
        # To tell a new callback from a repeat it must see the ids of the rows it adds, and no more.
        f"GRANT SELECT (id) ON payments.callbacks TO {_INTAKE}",
        f"CREATE POLICY intake_sees_ids ON payments.callbacks FOR SELECT TO {_INTAKE} USING (true)",
        _FIND_GATEWAY,
        "REVOKE ALL ON FUNCTION payments.find_gateway(uuid) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION payments.find_gateway(uuid) TO {_INTAKE}",
    ]
