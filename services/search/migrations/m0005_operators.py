"""What operators find orders and products in: what must be built, the documents, and the state of the index.

An organization that was here before has its documents yet to be filled: a task is left that begins a job.
"""

from alembic import op

from shared.messaging.schema import guard

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for statement in _TABLES.strip().split(";\n"):
        op.execute(statement)
    for statement in guard("search", "operator_indexes", system="SELECT"):
        op.execute(statement)
    for statement in guard("search", "operator_marks", system="SELECT, UPDATE, DELETE"):
        op.execute(statement)
    for statement in guard("search", "operator_documents"):
        op.execute(statement)
    op.execute(
        "INSERT INTO search.tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT organization_id, gen_random_uuid(), 'fill_operator_documents', '{\"kinds\": [\"order\"]}', now(),"
        " 'order'"
        " FROM (SELECT organization_id FROM search.shops UNION SELECT organization_id FROM search.products) o"
    )


_TABLES = """
CREATE TABLE search.operator_indexes (
    organization_id uuid PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0,
    generation integer NOT NULL DEFAULT 1,
    rebuilt_at timestamptz
);
CREATE TABLE search.operator_marks (
    organization_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'product')),
    id uuid NOT NULL,
    version bigint NOT NULL DEFAULT nextval('search.mark_versions'),
    is_bulk boolean NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (organization_id, kind, id, version)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX operator_marks_due ON search.operator_marks (organization_id, kind, is_bulk, due_at);
CREATE INDEX operator_marks_old ON search.operator_marks (due_at);
CREATE TABLE search.operator_documents (
    organization_id uuid NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL,
    built_from bigint NOT NULL,
    entry bytea,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, kind, id),
    FOREIGN KEY (organization_id) REFERENCES search.operator_indexes
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX operator_documents_sequence ON search.operator_documents (organization_id, sequence) WHERE sequence > 0
"""
