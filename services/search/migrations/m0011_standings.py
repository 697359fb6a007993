"""Products and orders are found by how they stand on connections: those that were here before are built anew."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        "INSERT INTO search.tasks (organization_id, id, kind, payload, due_at, unique_key)"
        " SELECT organization_id, gen_random_uuid(), 'fill_operator_documents',"
        ' \'{"kinds": ["order", "product"]}\', now(), \'standings\' FROM search.operator_indexes'
    )
