"""Operators find products as well: those that were here before have their documents yet to be filled, by a job."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        "INSERT INTO search.tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT organization_id, gen_random_uuid(), 'fill_operator_documents', '{\"kinds\": [\"product\"]}', now(),"
        " 'product' FROM (SELECT organization_id FROM search.shops UNION SELECT organization_id FROM search.products) o"
    )
