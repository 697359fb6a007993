"""Products and orders that stand otherwise than before on a connection are noted by whatever statement changes that."""

from alembic import op

from shared.messaging.schema import guard

revision = "0008"
down_revision = "0007"

_TABLE = """
CREATE TABLE sync.touched (
    organization_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('product', 'order')),
    record_id uuid NOT NULL,
    PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02)"""

_NOTED = "INSERT INTO sync.touched (organization_id, kind, record_id)"
_RECORD = "CASE WHEN {0}.order_id IS NULL THEN 'product' ELSE 'order' END, coalesce({0}.order_id, {0}.product_id)"
_OF_LISTINGS = f"{_NOTED} SELECT DISTINCT r.organization_id, {_RECORD.format('r')}"
# What a record stands for here, whether it is there, and what it is there.
_STANDING = "({0}.product_id, {0}.order_id, {0}.external_id IS NULL, {0}.gone_at IS NULL, {0}.digest, {0}.acknowledged)"

# Rows of transition tables have no statistics: a nested loop over thousands of them would be made of the first plan.
_LISTINGS = f"""
CREATE FUNCTION sync.touch_by_listings() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {_OF_LISTINGS} FROM new_rows r WHERE coalesce(r.order_id, r.product_id) IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        {_OF_LISTINGS} FROM old_rows r WHERE coalesce(r.order_id, r.product_id) IS NOT NULL;
    ELSE
        WITH changed AS MATERIALIZED (
            SELECT n.organization_id, o.product_id AS old_product_id, o.order_id AS old_order_id, n.product_id,
                n.order_id
            FROM old_rows o JOIN new_rows n ON (n.organization_id, n.id) = (o.organization_id, o.id)
            WHERE {_STANDING.format("n")} IS DISTINCT FROM {_STANDING.format("o")}
        ), records AS (
            SELECT organization_id, product_id, order_id FROM changed
            UNION ALL SELECT organization_id, old_product_id, old_order_id FROM changed
        )
        {_OF_LISTINGS} FROM records r WHERE coalesce(r.order_id, r.product_id) IS NOT NULL;
    END IF;
    RETURN NULL;
END $$"""  # noqa: S608

# Of what is about a listing: what that is here; of stock, whatever has its SKU on the same connection.
_CONCERNED = f"""
{_NOTED} SELECT DISTINCT r.organization_id, {_RECORD.format("r")}
FROM (SELECT DISTINCT t.organization_id, t.listing_id FROM {{rows}}) a
CROSS JOIN LATERAL (
    SELECT l.organization_id, l.connection_id, l.entity, l.sku, l.product_id, l.order_id FROM sync.listings l
    WHERE (l.organization_id, l.id) = (a.organization_id, a.listing_id) OFFSET 0
) l
CROSS JOIN LATERAL (
    SELECT l.organization_id, l.product_id, l.order_id
    UNION ALL
    (SELECT v.organization_id, v.product_id, v.order_id FROM sync.listings v WHERE l.entity = 'stock'
    AND (v.organization_id, v.connection_id, v.sku) = (l.organization_id, l.connection_id, l.sku)
    AND v.entity = 'variant' OFFSET 0)
) r
WHERE coalesce(r.order_id, r.product_id) IS NOT NULL"""  # noqa: S608
_JOINED = "old_rows o JOIN new_rows t ON (t.organization_id, t.id) = (o.organization_id, o.id)"


def _function(table: str, is_open: str) -> str:
    of_new = _CONCERNED.format(rows=f"new_rows t WHERE {is_open.format('t')}")
    has_turned = f"{_JOINED} WHERE {is_open.format('t')} <> {is_open.format('o')} OR t.listing_id <> o.listing_id"
    return f"""
CREATE FUNCTION sync.touch_by_{table}() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off SET enable_seqscan = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {of_new};
    ELSE
        {_CONCERNED.format(rows=has_turned)};
    END IF;
    RETURN NULL;
END $$"""


_TABLES = {"INSERT": "NEW TABLE AS new_rows", "DELETE": "OLD TABLE AS old_rows"}


def _trigger(table: str, event: str) -> str:
    tables = _TABLES.get(event, "OLD TABLE AS old_rows NEW TABLE AS new_rows")
    return (
        f"CREATE TRIGGER touch_by_{event.lower()} AFTER {event} ON sync.{table} REFERENCING {tables}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION sync.touch_by_{table}()"
    )


def upgrade() -> None:
    op.execute(_TABLE)
    for statement in guard("sync", "touched", system="SELECT"):
        op.execute(statement)
    op.execute(_LISTINGS)
    op.execute(_function("changes", "{0}.is_open"))
    op.execute(_function("issues", "({0}.resolved_at IS NULL)"))
    for event in ("INSERT", "UPDATE", "DELETE"):
        op.execute(_trigger("listings", event))
    # What is dropped of these is over; the rest leaves with its listing.
    for table in ("changes", "issues"):
        for event in ("INSERT", "UPDATE"):
            op.execute(_trigger(table, event))
