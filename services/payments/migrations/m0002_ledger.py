"""Gateways and their secrets, copies of shops and orders, payments with what is known of refunds and disputes."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE payments.orders (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    number text NOT NULL,
    shop_id uuid NOT NULL,
    total bigint,
    currency text,
    is_placed boolean NOT NULL,
    is_cancelled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    CHECK (NOT is_placed OR (total IS NOT NULL AND currency IS NOT NULL))
);
CREATE TABLE payments.gateways (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    provider text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('test', 'live')),
    settings json NOT NULL,
    allowed_networks json NOT NULL,
    is_enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES payments.shops
);
CREATE INDEX gateways_address ON payments.gateways (id);
CREATE TABLE payments.gateway_secrets (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    sealed text NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways
);
CREATE INDEX gateway_secrets_gateway ON payments.gateway_secrets (organization_id, gateway_id);
CREATE TABLE payments.payments (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    order_number text NOT NULL,
    shop_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    provider text NOT NULL,
    external_id text NOT NULL,
    currency text,
    state text NOT NULL CHECK (state IN ('pending', 'authorised', 'captured', 'partly_refunded', 'refunded', 'failed',
        'cancelled', 'disputed')),
    authorised bigint NOT NULL DEFAULT 0 CHECK (authorised >= 0),
    captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND refunded <= captured),
    disputed bigint NOT NULL DEFAULT 0 CHECK (disputed >= 0),
    is_failed boolean NOT NULL DEFAULT false,
    is_cancelled boolean NOT NULL DEFAULT false,
    refunded_as_told bigint NOT NULL DEFAULT 0,
    refunded_told_at timestamptz,
    refunded_most bigint NOT NULL DEFAULT 0,
    refunded_most_at timestamptz,
    refund_in_doubt bigint,
    created_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, gateway_id, external_id),
    FOREIGN KEY (organization_id, gateway_id) REFERENCES payments.gateways,
    CHECK (currency IS NOT NULL OR authorised + captured + refunded + disputed = 0)
);
CREATE INDEX payments_order ON payments.payments (organization_id, order_id);
CREATE TABLE payments.refunds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    external_id text,
    amount bigint NOT NULL CHECK (amount >= 0),
    state text NOT NULL CHECK (state IN ('requested', 'pending', 'succeeded', 'failed', 'cancelled', 'closed')),
    reason text,
    settled_from bigint,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, payment_id, external_id),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments.payments,
    CHECK ((external_id IS NULL) = (settled_from IS NOT NULL))
);
CREATE TABLE payments.disputes (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    external_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    state text NOT NULL CHECK (state IN ('open', 'won', 'lost')),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, payment_id, external_id),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments.payments
)"""

_NAMES = ("orders", "gateways", "gateway_secrets", "payments", "refunds", "disputes")


def upgrade() -> None:
    for statement in shops_v1("payments", {}, optional={"parent_id": "uuid"}):
        op.execute(statement)
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table in _NAMES:
        for statement in guard("payments", table):
            op.execute(statement)
