"""Listings note what they touch row by row, and only rows that are other than before.

By statement, a connection that was to be compared anew was spooled to disk twice. Row by row what no condition holds
for costs nothing, and what does not set one of these columns is not even looked at.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_FUNCTION = """
CREATE FUNCTION sync.touch_by_listing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' AND coalesce(NEW.order_id, NEW.product_id) IS NOT NULL THEN
        INSERT INTO sync.touched (organization_id, kind, record_id) VALUES (NEW.organization_id,
            CASE WHEN NEW.order_id IS NULL THEN 'product' ELSE 'order' END, coalesce(NEW.order_id, NEW.product_id));
    END IF;
    IF TG_OP = 'INSERT' THEN
        RETURN NULL;
    END IF;
    IF coalesce(OLD.order_id, OLD.product_id) IS NOT NULL
        AND (TG_OP = 'DELETE' OR (OLD.order_id, OLD.product_id) IS DISTINCT FROM (NEW.order_id, NEW.product_id))
    THEN
        INSERT INTO sync.touched (organization_id, kind, record_id) VALUES (OLD.organization_id,
            CASE WHEN OLD.order_id IS NULL THEN 'product' ELSE 'order' END, coalesce(OLD.order_id, OLD.product_id));
    END IF;
    RETURN NULL;
END $$"""
# What a record stands for here, whether it is there, and what it is there.
_STANDING = "({0}.product_id, {0}.order_id, {0}.external_id IS NULL, {0}.gone_at IS NULL, {0}.digest, {0}.acknowledged)"
_TRIGGERS = {
    "INSERT": "coalesce(NEW.order_id, NEW.product_id) IS NOT NULL",
    "DELETE": "coalesce(OLD.order_id, OLD.product_id) IS NOT NULL",
    "UPDATE OF product_id, order_id, external_id, gone_at, digest, acknowledged": (
        "coalesce(OLD.order_id, OLD.product_id, NEW.order_id, NEW.product_id) IS NOT NULL"
        f" AND {_STANDING.format('OLD')} IS DISTINCT FROM {_STANDING.format('NEW')}"
    ),
}


def upgrade() -> None:
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER touch_by_{event} ON sync.listings")
    op.execute("DROP FUNCTION sync.touch_by_listings()")
    op.execute(_FUNCTION)
    for event, condition in _TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER touch_by_{event.split()[0].lower()} AFTER {event} ON sync.listings"
            f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION sync.touch_by_listing()"
        )
