"""Connections, their feeds and clocks, what the platforms have, what is to change, and what went wrong."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE sync.connections (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    platform text NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    mode text NOT NULL DEFAULT 'test' CHECK (mode IN ('test', 'production')),
    is_paused boolean NOT NULL DEFAULT false,
    needs_credentials boolean NOT NULL DEFAULT false,
    settings jsonb NOT NULL,
    credentials text NOT NULL,
    greeting jsonb,
    checked_at timestamptz,
    matches_seen_at timestamptz,
    stock_imported_at timestamptz,
    live_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    CHECK ((mode = 'production') = (live_at IS NOT NULL)),
    FOREIGN KEY (organization_id, shop_id) REFERENCES sync.shops
);
CREATE TABLE sync.feeds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    kind text NOT NULL,
    is_enabled boolean NOT NULL,
    cron text,
    time_zone text NOT NULL,
    next_run_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, connection_id, kind),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
);
CREATE INDEX feeds_due ON sync.feeds (next_run_at) WHERE is_enabled;
CREATE TABLE sync.clocks (
    organization_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    entity text NOT NULL,
    cursor_at timestamptz,
    scan_started_at timestamptz,
    full_scan_at timestamptz,
    records bigint,
    PRIMARY KEY (organization_id, connection_id, entity),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
);
CREATE TABLE sync.executions (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    feed_id uuid NOT NULL,
    kind text NOT NULL,
    trigger text NOT NULL,
    is_full boolean NOT NULL,
    reason text,
    rerun_of uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, id) REFERENCES sync.jobs,
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE,
    FOREIGN KEY (organization_id, feed_id) REFERENCES sync.feeds ON DELETE CASCADE
);
CREATE INDEX executions_of_feed ON sync.executions (organization_id, feed_id, created_at);
CREATE INDEX executions_of_connection ON sync.executions (organization_id, connection_id, created_at);
CREATE TABLE sync.listings (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    entity text NOT NULL,
    external_id text NOT NULL,
    parent_external_id text,
    sku text,
    product_id uuid,
    order_id uuid,
    remote jsonb NOT NULL,
    refs jsonb NOT NULL DEFAULT '{}',
    digest bytea NOT NULL,
    analysed bytea,
    acknowledged jsonb,
    sent jsonb NOT NULL DEFAULT '{}',
    -- What a platform made of values that it did not take as they were sent.
    became jsonb NOT NULL DEFAULT '{}',
    remote_updated_at timestamptz,
    seen_by uuid,
    -- How often what it is here has changed since it was last compared with what is there; 0: not.
    marks integer NOT NULL DEFAULT 0,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, connection_id, entity, external_id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE
) WITH (fillfactor = 85);
CREATE INDEX listings_changed ON sync.listings (organization_id, connection_id, entity, id)
    WHERE analysed IS DISTINCT FROM digest;
CREATE INDEX listings_of_parent ON sync.listings (organization_id, connection_id, parent_external_id)
    WHERE parent_external_id IS NOT NULL;
CREATE INDEX listings_of_sku ON sync.listings (organization_id, connection_id, sku) WHERE sku IS NOT NULL;
CREATE INDEX listings_of_product ON sync.listings (organization_id, product_id) WHERE product_id IS NOT NULL;
CREATE INDEX listings_of_order ON sync.listings (organization_id, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX listings_of_stock ON sync.listings (organization_id, sku) WHERE entity = 'stock';
CREATE INDEX listings_marked ON sync.listings (organization_id, connection_id, entity, id) WHERE marks > 0;
CREATE TABLE sync.changes (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    listing_id uuid NOT NULL,
    entity text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    kind text NOT NULL CHECK (kind IN ('insert', 'update', 'delete')),
    field text NOT NULL,
    before jsonb,
    after jsonb,
    state text NOT NULL CHECK (
        state IN ('review', 'conflict', 'queued', 'sent', 'applied', 'cancelled', 'failed')),
    is_open boolean NOT NULL GENERATED ALWAYS AS (state NOT IN ('applied', 'cancelled')) STORED,
    reason text,
    -- How often what it is to become was said anew.
    revision integer NOT NULL DEFAULT 1,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    decided_by json,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, listing_id) REFERENCES sync.listings ON DELETE CASCADE
);
CREATE UNIQUE INDEX changes_open ON sync.changes (organization_id, listing_id, direction, field) WHERE is_open;
CREATE INDEX changes_of_listing ON sync.changes (organization_id, listing_id);
CREATE INDEX changes_queued ON sync.changes (organization_id, connection_id, direction, entity, listing_id)
    WHERE state = 'queued';
CREATE INDEX changes_settled ON sync.changes (updated_at) WHERE NOT is_open;
CREATE INDEX changes_listed ON sync.changes (organization_id, connection_id, id);
CREATE TABLE sync.issues (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    feed text NOT NULL,
    listing_id uuid,
    subject text NOT NULL,
    class text NOT NULL CHECK (class IN ('info', 'retry', 'error')),
    code text NOT NULL,
    message text NOT NULL,
    remote_message text,
    attempts integer NOT NULL DEFAULT 1,
    execution_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, connection_id) REFERENCES sync.connections ON DELETE CASCADE,
    FOREIGN KEY (organization_id, listing_id) REFERENCES sync.listings ON DELETE CASCADE
);
CREATE UNIQUE INDEX issues_open ON sync.issues (organization_id, connection_id, feed, subject, code)
    WHERE resolved_at IS NULL;
CREATE INDEX issues_resolved ON sync.issues (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX issues_of_listing ON sync.issues (organization_id, listing_id) WHERE listing_id IS NOT NULL;
CREATE INDEX issues_listed ON sync.issues (organization_id, connection_id, id)"""


def upgrade() -> None:
    for statement in shops_v1("sync", {"currency": "text", "time_zone": "text"}):
        op.execute(statement)
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table, system in (
        ("connections", "SELECT"),
        ("feeds", "SELECT, UPDATE"),
        ("clocks", ""),
        ("executions", ""),
        ("listings", ""),
        ("changes", "SELECT, DELETE"),
        ("issues", "SELECT, DELETE"),
    ):
        for statement in guard("sync", table, system=system):
            op.execute(statement)
