"""Stock checks, and corrections in the ledger that hold for the moment of their count."""

from alembic import op

from shared.messaging.schema import guard

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for statement in _CHECKS.split(";\n"):
        op.execute(statement)
    for table in ("stock_checks", "stock_check_rows"):
        for statement in guard("inventory", table):
            op.execute(statement)


# `as_of` of a movement: it corrects what was there then, and not what was booked since.
# `rows` are those that came with the request; what came as a file is at `key`.
_CHECKS = """
ALTER TABLE inventory.stock_movements ADD COLUMN as_of timestamptz;
CREATE TABLE inventory.stock_checks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    centre_id uuid NOT NULL,
    job_id uuid NOT NULL,
    apply_job_id uuid,
    counted_at timestamptz NOT NULL,
    uncounted text NOT NULL CHECK (uncounted IN ('keep', 'zero')),
    guard_percent integer NOT NULL CHECK (guard_percent BETWEEN 0 AND 100),
    note text,
    reason text,
    rows json,
    key text,
    file_name text,
    format text,
    requested_by json NOT NULL,
    row_count integer NOT NULL DEFAULT 0,
    equal integer NOT NULL DEFAULT 0 CHECK (equal >= 0),
    differing integer NOT NULL DEFAULT 0 CHECK (differing >= 0),
    applied integer NOT NULL DEFAULT 0 CHECK (applied >= 0),
    superseded integer NOT NULL DEFAULT 0 CHECK (superseded >= 0),
    refused integer NOT NULL DEFAULT 0 CHECK (refused >= 0),
    uncounted_rows integer NOT NULL DEFAULT 0,
    over bigint NOT NULL DEFAULT 0,
    under bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    compared_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    CHECK (num_nulls(rows, key) = 1),
    FOREIGN KEY (organization_id, centre_id) REFERENCES inventory.fulfilment_centres,
    FOREIGN KEY (organization_id, job_id) REFERENCES inventory.jobs,
    FOREIGN KEY (organization_id, apply_job_id) REFERENCES inventory.jobs
);
CREATE INDEX stock_checks_centre ON inventory.stock_checks (organization_id, centre_id, number);
CREATE TABLE inventory.stock_check_rows (
    organization_id uuid NOT NULL,
    check_id uuid NOT NULL,
    number integer NOT NULL,
    is_uncounted boolean NOT NULL DEFAULT false,
    sku text,
    state text NOT NULL CHECK (state IN ('read', 'equal', 'differs', 'applied', 'superseded', 'refused')),
    is_chosen boolean NOT NULL DEFAULT false,
    counted integer CHECK (counted >= 0),
    counted_at timestamptz,
    booked integer,
    on_hand integer,
    reserved integer,
    moved_since integer,
    movements_since integer,
    booked_at timestamptz,
    compared_at timestamptz,
    applied_at timestamptz,
    code text,
    message text,
    PRIMARY KEY (organization_id, check_id, number),
    FOREIGN KEY (organization_id, check_id) REFERENCES inventory.stock_checks,
    CHECK ((state = 'refused') = (code IS NOT NULL)),
    CHECK (state = 'refused' OR (sku IS NOT NULL AND counted IS NOT NULL AND counted_at IS NOT NULL)),
    CHECK ((state = 'applied') = (applied_at IS NOT NULL))
);
CREATE INDEX stock_check_rows_sku ON inventory.stock_check_rows (organization_id, check_id, sku);
CREATE INDEX stock_check_rows_state ON inventory.stock_check_rows (organization_id, check_id, state, number);
CREATE INDEX stock_check_rows_chosen ON inventory.stock_check_rows (organization_id, check_id, sku) WHERE is_chosen"""
