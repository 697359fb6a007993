"""People, the shops they are limited to, their sessions, one-time links to set a password, and attempts to sign in."""

from alembic import op

from shared.messaging.schema import guard

revision = "0003"
down_revision = "0002"

_TABLES = """
CREATE TABLE accounts.users (
    organization_id uuid NOT NULL REFERENCES accounts.organizations (organization_id),
    id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'manager', 'viewer')),
    state text NOT NULL CHECK (state IN ('invited', 'active', 'withdrawn')),
    is_limited_to_shops boolean NOT NULL DEFAULT false,
    password_hash text,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_signed_in_at timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT users_email_is_unique UNIQUE (organization_id, email),
    CONSTRAINT users_who_govern_see_every_shop CHECK (NOT is_limited_to_shops OR role IN ('manager', 'viewer')),
    CONSTRAINT users_who_are_in_have_a_password CHECK (state <> 'active' OR password_hash IS NOT NULL)
);
CREATE INDEX users_email ON accounts.users (email);
CREATE TABLE accounts.user_shops (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    PRIMARY KEY (organization_id, user_id, shop_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES accounts.users ON DELETE CASCADE,
    FOREIGN KEY (organization_id, shop_id) REFERENCES accounts.shops ON DELETE CASCADE
);
CREATE INDEX user_shops_shop ON accounts.user_shops (organization_id, shop_id);
CREATE TABLE accounts.sessions (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    address text,
    user_agent text,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, digest),
    FOREIGN KEY (organization_id, user_id) REFERENCES accounts.users ON DELETE CASCADE
);
CREATE INDEX sessions_user ON accounts.sessions (organization_id, user_id);
CREATE INDEX sessions_digest ON accounts.sessions (digest);
CREATE INDEX sessions_age ON accounts.sessions (last_seen_at);
CREATE TABLE accounts.password_resets (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, digest),
    FOREIGN KEY (organization_id, user_id) REFERENCES accounts.users ON DELETE CASCADE
);
CREATE INDEX password_resets_user ON accounts.password_resets (organization_id, user_id);
CREATE INDEX password_resets_digest ON accounts.password_resets (digest);
CREATE INDEX password_resets_expiry ON accounts.password_resets (expires_at)
"""

# Of the whole installation: counted by a digest of account and address before anybody knows whose account it is.
_ATTEMPTS = """
CREATE TABLE accounts.sign_in_attempts (
    key bytea PRIMARY KEY,
    count integer NOT NULL CHECK (count >= 0),
    started_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempts_age ON accounts.sign_in_attempts (started_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.sign_in_attempts TO crossdock_accounts, crossdock_accounts_system
"""

# Who an e-mail address, a session or a one-time link belongs to, before a tenant is known.
_FINDERS = (
    (
        "organization_of_session(wanted bytea)",
        "uuid",
        "SELECT organization_id FROM accounts.sessions WHERE digest = wanted",
    ),
    (
        "people_with_email(wanted text, from_address text)",
        "TABLE (organization_id uuid, organization_name text, user_id uuid, password_hash text,"
        " is_known_address boolean)",
        "SELECT u.organization_id, o.name, u.id, u.password_hash, EXISTS (SELECT FROM accounts.sessions s"
        " WHERE s.organization_id = u.organization_id AND s.user_id = u.id AND s.address = from_address)"
        " FROM accounts.users u JOIN accounts.organizations o USING (organization_id)"
        " WHERE u.email = wanted AND u.state <> 'withdrawn' ORDER BY u.organization_id LIMIT 20",
    ),
    (
        "people_with_reset(wanted bytea, at timestamptz)",
        "TABLE (organization_id uuid, user_id uuid, email text)",
        "SELECT r.organization_id, r.user_id, u.email FROM accounts.password_resets r JOIN accounts.users u"
        " ON (u.organization_id, u.id) = (r.organization_id, r.user_id)"
        " WHERE r.digest = wanted AND r.expires_at > at AND u.state <> 'withdrawn'",
    ),
)


def _finder(signature: str, answer: str, query: str) -> list[str]:
    return [
        f"CREATE FUNCTION accounts.{signature} RETURNS {answer} LANGUAGE sql STABLE SECURITY DEFINER"
        f" SET search_path = accounts, pg_temp AS $$ {query} $$",
        f"REVOKE ALL ON FUNCTION accounts.{signature} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION accounts.{signature} TO crossdock_accounts, crossdock_accounts_system",
    ]


def upgrade() -> None:
    statements = _TABLES.split(";\n")
    statements += guard("accounts", "users")
    statements += guard("accounts", "user_shops")
    statements += guard("accounts", "sessions", system="SELECT, DELETE")
    statements += guard("accounts", "password_resets", system="SELECT, INSERT, DELETE")
    statements += _ATTEMPTS.split(";\n")
    for signature, answer, query in _FINDERS:
        statements += _finder(signature, answer, query)
    for statement in statements:
        op.execute(statement)
