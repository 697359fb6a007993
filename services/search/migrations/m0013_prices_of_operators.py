"""Products are found by what is odd about their prices: those that were here before are built anew, by a job."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        "INSERT INTO search.tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT organization_id, gen_random_uuid(), 'fill_operator_documents', '{\"kinds\": [\"product\"]}', now(),"
        " 'prices' FROM search.operator_indexes"
    )
