"""The tables of a service's imports."""

from collections.abc import Sequence

from shared.messaging.schema import guard, roles


def imports_v1(service: str) -> Sequence[str]:
    """Statements that make them. The service has its copy of the shops (shared/shop_copy.py) already.

    Called by migrations, so what has been released here never changes: a change is a new function.
    """
    statements = _TABLES.replace("{s}", service).split(";\n")
    for table in ("imports", "import_remarks", "import_samples", "import_conflicts", "import_named"):
        statements += guard(service, table)
    return statements


def kept_files_v1(service: str, table: str) -> Sequence[str]:
    """Statements by which a table of uploaded files knows which of them are gone (`shared/imports/keeping.py`).

    Called by migrations, so what has been released here never changes: a change is a new function.
    """
    _, system_role = roles(service)
    seen = "organization_id, id, job_id, key, created_at, files_removed_at"
    return [
        f"ALTER TABLE {service}.{table} ADD COLUMN files_removed_at timestamptz",
        f"CREATE INDEX {table}_key ON {service}.{table} (organization_id, key)",
        f"CREATE INDEX {table}_kept ON {service}.{table} (created_at) WHERE files_removed_at IS NULL",
        f"CREATE POLICY across_tenants ON {service}.{table} TO {system_role} USING (true) WITH CHECK (true)",
        f"GRANT SELECT ({seen}), UPDATE (files_removed_at) ON {service}.{table} TO {system_role}",
    ]


def file_terms_v1(service: str) -> Sequence[str]:
    """Statements by which imports know what their uploaders said of all rows (`shared/impex/terms.py`).

    Called by migrations, so what has been released here never changes: a change is a new function.
    """
    return [f"ALTER TABLE {service}.imports ADD COLUMN terms json NOT NULL DEFAULT '{{}}'"]


def images_v1(service: str) -> Sequence[str]:
    """Statements that make the table of what was before imports (`shared/imports/images.py`).

    Called by migrations, so what has been released here never changes: a change is a new function.
    """
    return [*_IMAGES.replace("{s}", service).split(";\n"), *guard(service, "import_images", system="SELECT, DELETE")]


_IMAGES = """
CREATE TABLE {s}.import_images (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    part text NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    before jsonb,
    after jsonb NOT NULL,
    PRIMARY KEY (organization_id, import_id, number),
    FOREIGN KEY (organization_id, import_id) REFERENCES {s}.imports ON DELETE CASCADE
);
CREATE INDEX import_images_key ON {s}.import_images (organization_id, part, key)"""
_TABLES = """
CREATE TABLE {s}.imports (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    item_group text NOT NULL,
    profile text,
    mode text NOT NULL CHECK (mode IN ('merge', 'insert-only', 'update-only', 'replace', 'delete')),
    missing text NOT NULL DEFAULT 'keep' CHECK (missing IN ('keep', 'archive')),
    on_error text NOT NULL DEFAULT 'skip' CHECK (on_error IN ('skip', 'abort')),
    format text,
    encoding text,
    delimiter text,
    sheet text,
    read_as json,
    guard_percent integer NOT NULL CHECK (guard_percent BETWEEN 0 AND 100),
    dry_run boolean NOT NULL,
    shop_id uuid,
    origin text NOT NULL CHECK (origin IN ('upload', 'api', 'url', 'drop_folder', 'schedule')),
    origin_detail text,
    file_name text,
    key text,
    size bigint,
    sha256 text,
    same_as uuid,
    dry_run_of uuid,
    rerun_of uuid,
    requested_by json NOT NULL,
    harms json,
    is_held boolean NOT NULL DEFAULT false,
    confirmed_by json,
    errors_sha256 text,
    undo_job_id uuid,
    undo_notes text[] NOT NULL DEFAULT '{}',
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    CHECK (num_nulls(key, size, sha256) IN (0, 3)),
    CHECK (key IS NOT NULL OR origin = 'url'),
    FOREIGN KEY (organization_id, job_id) REFERENCES {s}.jobs,
    FOREIGN KEY (organization_id, undo_job_id) REFERENCES {s}.jobs
);
CREATE INDEX imports_same ON {s}.imports (organization_id, sha256);
CREATE TABLE {s}.import_remarks (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    is_error boolean NOT NULL,
    row_number integer NOT NULL,
    column_name text,
    value text,
    code text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (organization_id, import_id, number),
    FOREIGN KEY (organization_id, import_id) REFERENCES {s}.imports ON DELETE CASCADE
);
CREATE INDEX import_remarks_row ON {s}.import_remarks (organization_id, import_id, is_error, row_number);
CREATE TABLE {s}.import_samples (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('insert', 'update', 'skip', 'delete')),
    part text NOT NULL,
    name text NOT NULL,
    fields jsonb NOT NULL,
    PRIMARY KEY (organization_id, import_id, number),
    FOREIGN KEY (organization_id, import_id) REFERENCES {s}.imports ON DELETE CASCADE
);
CREATE TABLE {s}.import_conflicts (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    part text NOT NULL,
    name text NOT NULL,
    field text,
    code text NOT NULL,
    message text NOT NULL,
    before jsonb,
    imported jsonb,
    cause text,
    cause_id uuid,
    PRIMARY KEY (organization_id, import_id, number),
    FOREIGN KEY (organization_id, import_id) REFERENCES {s}.imports ON DELETE CASCADE
);
-- What a file named so far, where what it does not name is to go. Empty once the import is over.
CREATE TABLE {s}.import_named (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    thing_id uuid NOT NULL,
    PRIMARY KEY (organization_id, import_id, thing_id),
    FOREIGN KEY (organization_id, import_id) REFERENCES {s}.imports ON DELETE CASCADE
)"""
