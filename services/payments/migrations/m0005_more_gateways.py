"""More providers: captures told one by one, other names of payments, certificates, callbacks that are checked later."""

from alembic import op

from shared.messaging.schema import guard

revision = "0005"
down_revision = "0004"

_INTAKE = "crossdock_payments_intake"

_TABLES = """
CREATE TABLE payments.captures (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    external_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    state text NOT NULL CHECK (state IN ('succeeded', 'failed')),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, payment_id, external_id),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments.payments
);
CREATE TABLE payments.payment_names (
    organization_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    name text NOT NULL,
    payment_id uuid NOT NULL,
    PRIMARY KEY (organization_id, gateway_id, name),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments.payments
);
CREATE INDEX payment_names_payment ON payments.payment_names (organization_id, payment_id);
CREATE TABLE payments.gateway_credentials (
    organization_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    sealed text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, gateway_id),
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways
);
CREATE TABLE payments.certificates (
    organization_id uuid NOT NULL,
    url text NOT NULL,
    pem text NOT NULL,
    fetched_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, url)
)"""

_CHANGES = (
    "ALTER TABLE payments.payments ADD COLUMN captured_told bigint NOT NULL DEFAULT 0",
    "UPDATE payments.payments SET captured_told = captured",
    "ALTER TABLE payments.callbacks ADD COLUMN part integer NOT NULL DEFAULT 0,"
    " ADD COLUMN fetched bytea, ADD COLUMN is_accepted boolean NOT NULL DEFAULT false",
    # What cannot be checked yet is `received` or `retrying` before it is known to be genuine.
    "ALTER TABLE payments.callbacks DROP CONSTRAINT callbacks_check, ADD CONSTRAINT callbacks_check"
    " CHECK (status NOT IN ('waiting', 'processed', 'ignored') OR is_verified OR is_accepted)",
    "CREATE INDEX callbacks_bytes ON payments.callbacks (received_at) WHERE body_dropped_at IS NULL",
    "ALTER TABLE payments.callback_attempts DROP CONSTRAINT callback_attempts_kind_check,"
    " ADD CONSTRAINT callback_attempts_kind_check"
    " CHECK (kind IN ('processing', 'check', 'replay', 'accept', 'reject'))",
)

# As in 0003: with the rights of the migrating role, past the tenants' policies.
_FUNCTIONS = (
    "DROP FUNCTION payments.find_gateway(uuid)",
    """
CREATE FUNCTION payments.find_gateway(sought uuid)
RETURNS TABLE (organization_id uuid, provider text, mode text, settings json, allowed_networks json, secrets text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = payments, pg_temp AS $$
    SELECT g.organization_id, g.provider, g.mode, g.settings, g.allowed_networks,
        ARRAY(SELECT s.sealed FROM gateway_secrets s WHERE (s.organization_id, s.gateway_id) = (g.organization_id, g.id)
            AND s.retired_at IS NULL ORDER BY s.created_at DESC)
    FROM gateways g WHERE g.id = sought AND g.is_enabled
$$""",
    """
CREATE FUNCTION payments.find_certificate(tenant uuid, sought text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = payments, pg_temp AS $$
    SELECT pem FROM certificates WHERE (organization_id, url) = (tenant, sought)
$$""",
)


def upgrade() -> None:
    for statement in (*_TABLES.split(";\n"), *_CHANGES, *_FUNCTIONS):
        op.execute(statement)
    for table in ("captures", "payment_names", "gateway_credentials", "certificates"):
        for statement in guard("payments", table):
            op.execute(statement)
    for function in ("find_gateway(uuid)", "find_certificate(uuid, text)"):
        op.execute(f"REVOKE ALL ON FUNCTION payments.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION payments.{function} TO {_INTAKE}")
