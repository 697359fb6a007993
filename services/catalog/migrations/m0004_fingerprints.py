"""What an import last wrote of a product, so that the same rows need not be compared again (CAT-8)."""

from alembic import op

from shared.messaging.schema import guard

revision = "0004"
down_revision = "0003"

# No key to products: a trigger forgets what goes with them, at no cost to those that come.
_TABLE = """
CREATE TABLE catalog.import_fingerprints (
    organization_id uuid NOT NULL,
    product_id uuid NOT NULL,
    context bigint NOT NULL,
    fingerprint bytea NOT NULL,
    price_list_id uuid,
    variants integer NOT NULL,
    prices integer NOT NULL,
    PRIMARY KEY (organization_id, product_id, context)
)"""

# Whoever else writes to a product makes an import look at it again. An import's own step writes the new ones itself.
_FORGET = """
CREATE FUNCTION catalog.forget_fingerprints_by_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('crossdock.fingerprints', true) IS DISTINCT FROM 'kept' AND EXISTS (SELECT FROM touched) THEN
        EXECUTE $statement$
        DELETE FROM catalog.import_fingerprints f
        USING (SELECT DISTINCT r.organization_id, {product} AS product_id FROM touched r) t
        WHERE (f.organization_id, f.product_id) = (t.organization_id, t.product_id)
        $statement$;
    END IF;
    RETURN NULL;
END $$"""
_FORGET_ALL = """
CREATE FUNCTION catalog.forget_fingerprints() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM catalog.import_fingerprints f USING (SELECT DISTINCT organization_id FROM touched) t
    WHERE f.organization_id = t.organization_id;
    RETURN NULL;
END $$"""
_OF_VARIANT = (
    "(SELECT v.product_id FROM catalog.variants v WHERE (v.organization_id, v.id) = (r.organization_id, r.variant_id))"
)
_WATCHED = (
    ("products", "r.id", ("UPDATE", "DELETE")),
    ("variants", "r.product_id", ("INSERT", "UPDATE", "DELETE")),
    ("product_categories", "r.product_id", ("INSERT", "DELETE")),
    ("prices", _OF_VARIANT, ("INSERT", "UPDATE", "DELETE")),
)


def upgrade() -> None:
    op.execute(_TABLE)
    for statement in guard("catalog", "import_fingerprints"):
        op.execute(statement)
    for table, product, moments in _WATCHED:
        op.execute(_FORGET.format(table=table, product=product))
        for moment in moments:
            op.execute(_trigger(table, moment, f"forget_fingerprints_by_{table}"))
    op.execute(_FORGET_ALL)
    # A path in a file names another place once a category has moved; a new one takes no path from any.
    for moment in ("UPDATE", "DELETE"):
        op.execute(_trigger("categories", moment, "forget_fingerprints"))


def _trigger(table: str, moment: str, function: str) -> str:
    seen = "OLD" if moment == "DELETE" else "NEW"
    return (
        f"CREATE TRIGGER forget_fingerprints_{moment.lower()} AFTER {moment} ON catalog.{table}"
        f" REFERENCING {seen} TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION catalog.{function}()"
    )
