"""Organizations, shops, API clients with their secrets and keys, signing keys, and what has been revoked."""

from alembic import op

from shared.messaging.schema import guard

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE accounts.organizations (
    organization_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    is_merchant boolean NOT NULL,
    is_supplier boolean NOT NULL,
    address json,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT organizations_do_something CHECK (is_merchant OR is_supplier)
);
CREATE TABLE accounts.shops (
    organization_id uuid NOT NULL REFERENCES accounts.organizations,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    locale text NOT NULL CHECK (length(locale) BETWEEN 2 AND 35),
    time_zone text NOT NULL,
    parent_id uuid CHECK (parent_id <> id),
    strict_pricing boolean NOT NULL DEFAULT false,
    address json,
    storefront_url text,
    settings json NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    CONSTRAINT shops_code_is_unique UNIQUE (organization_id, code),
    CONSTRAINT shops_parent_exists FOREIGN KEY (organization_id, parent_id) REFERENCES accounts.shops
);
CREATE INDEX shops_parent ON accounts.shops (organization_id, parent_id);
CREATE TABLE accounts.api_clients (
    organization_id uuid NOT NULL REFERENCES accounts.organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    is_limited_to_shops boolean NOT NULL DEFAULT false,
    allowed_networks text[] NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX api_clients_id ON accounts.api_clients (id);
CREATE TABLE accounts.api_client_shops (
    organization_id uuid NOT NULL,
    client_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    PRIMARY KEY (organization_id, client_id, shop_id),
    FOREIGN KEY (organization_id, client_id) REFERENCES accounts.api_clients ON DELETE CASCADE,
    FOREIGN KEY (organization_id, shop_id) REFERENCES accounts.shops ON DELETE CASCADE
);
CREATE INDEX api_client_shops_shop ON accounts.api_client_shops (organization_id, shop_id);
CREATE TABLE accounts.client_secrets (
    organization_id uuid NOT NULL,
    client_id uuid NOT NULL,
    id uuid NOT NULL,
    slot smallint NOT NULL CHECK (slot IN (1, 2)),
    sealed text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, client_id, id),
    CONSTRAINT client_secrets_are_two_at_most UNIQUE (organization_id, client_id, slot),
    FOREIGN KEY (organization_id, client_id) REFERENCES accounts.api_clients ON DELETE CASCADE
);
CREATE TABLE accounts.api_keys (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    ending text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, digest),
    FOREIGN KEY (organization_id, client_id) REFERENCES accounts.api_clients ON DELETE CASCADE
);
CREATE INDEX api_keys_client ON accounts.api_keys (organization_id, client_id);
CREATE INDEX api_keys_digest ON accounts.api_keys (digest);
CREATE TABLE accounts.publishable_keys (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    key text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    allowed_origins text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, digest),
    FOREIGN KEY (organization_id, shop_id) REFERENCES accounts.shops ON DELETE CASCADE
);
CREATE INDEX publishable_keys_shop ON accounts.publishable_keys (organization_id, shop_id);
CREATE INDEX publishable_keys_digest ON accounts.publishable_keys (digest);
CREATE TABLE accounts.revoked_tokens (
    organization_id uuid NOT NULL,
    token_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, token_id)
);
CREATE INDEX revoked_tokens_expiry ON accounts.revoked_tokens (expires_at);
CREATE TABLE accounts.revocations (
    organization_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    transaction xid8 NOT NULL
);
CREATE INDEX revocations_transaction ON accounts.revocations (transaction);
"""

# Of the whole installation, not of a tenant: keys that sign every organization's tokens, and guesses at client secrets
# counted by a digest of client and address, before anybody knows whose client it would be.
_OF_THE_INSTALLATION = """
CREATE TABLE accounts.signing_keys (
    id text PRIMARY KEY,
    public_key json NOT NULL,
    sealed_private_key text NOT NULL,
    active_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE accounts.client_attempts (
    digest bytea PRIMARY KEY,
    failures integer NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX client_attempts_end ON accounts.client_attempts (ends_at);
GRANT SELECT, INSERT ON accounts.signing_keys TO crossdock_accounts;
GRANT SELECT, INSERT, DELETE ON accounts.signing_keys TO crossdock_accounts_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.client_attempts TO crossdock_accounts;
GRANT SELECT, DELETE ON accounts.client_attempts TO crossdock_accounts_system;
"""

# Who a credential belongs to, before a tenant is known: an organization's id and nothing else.
_FINDERS = {
    "organization_of_client(wanted uuid)": "SELECT organization_id FROM accounts.api_clients WHERE id = wanted",
    "organization_of_api_key(wanted bytea)": "SELECT organization_id FROM accounts.api_keys WHERE digest = wanted",
    "organization_of_publishable_key(wanted bytea)": (
        "SELECT organization_id FROM accounts.publishable_keys WHERE digest = wanted"
    ),
}


def _finder(signature: str, query: str) -> list[str]:
    return [
        f"CREATE FUNCTION accounts.{signature} RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER"
        f" SET search_path = accounts, pg_temp AS $$ {query} $$",
        f"REVOKE ALL ON FUNCTION accounts.{signature} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION accounts.{signature} TO crossdock_accounts",
    ]


def upgrade() -> None:
    statements = [*_TABLES.split(";\n"), *_OF_THE_INSTALLATION.split(";\n")]
    for table in ("organizations", "shops", "api_clients", "api_client_shops", "client_secrets", "api_keys"):
        statements += guard("accounts", table)
    statements += guard("accounts", "publishable_keys")
    statements += guard("accounts", "revoked_tokens", system="SELECT, DELETE")
    statements += guard("accounts", "revocations", system="SELECT", grants="SELECT, INSERT, UPDATE")
    for signature, query in _FINDERS.items():
        statements += _finder(signature, query)
    for statement in filter(str.strip, statements):
        op.execute(statement)
