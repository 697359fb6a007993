"""The index that readers follow holds only what they ever see, and is of no use to whoever looks up a product.

While a table fills and its statistics are behind, PostgreSQL took it for that, and read a whole shop for each product
(measured with 5,000 offers: 8 ms instead of 0.03).
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("DROP INDEX search.documents_sequence")
    op.execute(
        "CREATE INDEX documents_sequence ON search.documents (organization_id, shop_id, sequence) WHERE sequence > 0"
    )
