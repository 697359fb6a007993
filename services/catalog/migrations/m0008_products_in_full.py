"""Products in full: further barcodes, measures, typed attributes, media, localised options; categories with dates."""

from alembic import op

from shared.messaging.schema import guard

revision = "0008"
down_revision = "0007"

# A GTIN; its check digit is looked at by whoever writes.
_DIGITS = "([0-9]{8}|[0-9]{12,14})"
_GRAMS = "CASE weight_unit WHEN 'g' THEN 1 WHEN 'kg' THEN 1000 WHEN 'oz' THEN 28.349523125 WHEN 'lb' THEN 453.59237 END"
_MILLIMETRES = (
    "CASE dimension_unit WHEN 'mm' THEN 1 WHEN 'cm' THEN 10 WHEN 'm' THEN 1000 WHEN 'in' THEN 25.4"
    " WHEN 'ft' THEN 304.8 END"
)


def _side(name: str) -> str:
    """What one side of a parcel has to satisfy: given in a unit, and the same in whole millimetres."""
    return f"""
    ADD COLUMN {name}_value numeric CHECK ({name}_value >= 0 AND scale({name}_value) <= 6),
    ADD COLUMN {name}_mm integer CHECK ({name}_mm >= 0),
    ADD CHECK ({name}_value IS NULL OR dimension_unit IS NOT NULL),
    ADD CHECK ({name}_mm IS NOT DISTINCT FROM round({name}_value * {_MILLIMETRES}))"""


_TABLES = f"""
ALTER TABLE catalog.products
    -- What is not a picture, each with its place among pictures and others together; and by address and locale,
    -- what media are said to show. Both stay when a file replaces the pictures.
    ADD COLUMN media jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(media) = 'array'),
    ADD COLUMN alts jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(alts) = 'object'),
    ADD CHECK (jsonb_typeof(attributes) = 'object');
ALTER TABLE catalog.product_texts
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(attributes) = 'object'),
    ADD COLUMN option_names jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(option_names) = 'object'),
    ADD COLUMN option_values jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(option_values) = 'object');
ALTER TABLE catalog.variants RENAME COLUMN tax_code TO tax_class;
ALTER TABLE catalog.variants
    ADD COLUMN barcodes text[] NOT NULL DEFAULT '{{}}'
        CHECK (barcodes = '{{}}' OR array_to_string(barcodes, ',', '') ~ '^{_DIGITS}(,{_DIGITS})*$'),
    ADD CHECK (barcode ~ '^{_DIGITS}$'),
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(attributes) = 'object'),
    -- As the merchant says it; null where only whole grams are known. Grams are what shipping reckons with.
    ADD COLUMN weight_value numeric CHECK (weight_value >= 0 AND scale(weight_value) <= 6),
    ADD COLUMN weight_unit text CHECK (weight_unit IN ('g', 'kg', 'oz', 'lb')),
    ADD CHECK ((weight_value IS NULL) = (weight_unit IS NULL)),
    ADD CHECK (weight_value IS NULL OR weight_grams IS NOT DISTINCT FROM round(weight_value * {_GRAMS})),
    ADD COLUMN dimension_unit text CHECK (dimension_unit IN ('mm', 'cm', 'm', 'in', 'ft')),
    {_side("length")},
    {_side("width")},
    {_side("height")};
CREATE INDEX variants_barcode ON catalog.variants (organization_id, barcode) WHERE barcode IS NOT NULL;
CREATE INDEX variants_mpn ON catalog.variants (organization_id, mpn) WHERE mpn IS NOT NULL;
-- Where a further barcode is found again: operators of arrays use no index under row-level security.
-- A trigger keeps it.
CREATE TABLE catalog.variant_barcodes (
    organization_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    barcode text NOT NULL,
    PRIMARY KEY (organization_id, variant_id, barcode),
    FOREIGN KEY (organization_id, variant_id) REFERENCES catalog.variants ON DELETE CASCADE
);
CREATE INDEX variant_barcodes_barcode ON catalog.variant_barcodes (organization_id, barcode);
CREATE TABLE catalog.attributes (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    code text NOT NULL CHECK (code <> ''),
    label text NOT NULL CHECK (label <> ''),
    labels jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(labels) = 'object'),
    type text NOT NULL CHECK (type IN ('text', 'integer', 'decimal', 'boolean', 'date', 'choice', 'choices')),
    unit text CHECK (unit IS NULL OR type IN ('integer', 'decimal')),
    is_facet boolean NOT NULL DEFAULT false,
    choices jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(choices) = 'array'),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, code),
    CHECK ((type IN ('choice', 'choices')) = (choices <> '[]'))
);
ALTER TABLE catalog.categories
    ADD COLUMN slugs jsonb NOT NULL DEFAULT '{{}}' CHECK (jsonb_typeof(slugs) = 'object'),
    ADD COLUMN valid_from timestamptz,
    ADD COLUMN valid_until timestamptz,
    ADD CHECK (valid_until > valid_from);
-- The slugs of one locale, unique among siblings. A trigger keeps it.
CREATE TABLE catalog.category_slugs (
    organization_id uuid NOT NULL,
    category_id uuid NOT NULL,
    locale text NOT NULL,
    parent_id uuid,
    slug text NOT NULL CHECK (slug <> ''),
    PRIMARY KEY (organization_id, category_id, locale),
    UNIQUE NULLS NOT DISTINCT (organization_id, parent_id, locale, slug) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (organization_id, category_id) REFERENCES catalog.categories ON DELETE CASCADE
)"""

_GUARDED = ("variant_barcodes", "attributes", "category_slugs")

_TRIGGERS = (
    """
CREATE FUNCTION catalog.keep_variant_barcodes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM catalog.variant_barcodes b USING new_rows n
        WHERE b.organization_id = n.organization_id AND b.variant_id = n.id AND b.barcode <> ALL (n.barcodes);
    END IF;
    INSERT INTO catalog.variant_barcodes (organization_id, variant_id, barcode)
    SELECT n.organization_id, n.id, unnest(n.barcodes) FROM new_rows n WHERE n.barcodes <> '{}'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER keep_barcodes_of_new AFTER INSERT ON catalog.variants
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog.keep_variant_barcodes()""",
    """
CREATE TRIGGER keep_barcodes_of_changed AFTER UPDATE ON catalog.variants
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalog.keep_variant_barcodes()""",
    # The lock is that of all writers of an organization's products (repository/catalog.py). Behind it, this function's
    # statements see what the move before has committed, so that two moves at once cannot close a circle either.
    """
CREATE FUNCTION catalog.refuse_circle_of_categories() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.parent_id IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(1667331169, hashtext(NEW.organization_id::text));
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT NEW.parent_id AS id
            UNION
            SELECT c.parent_id FROM above JOIN catalog.categories c
            ON c.organization_id = NEW.organization_id AND c.id = above.id WHERE c.parent_id IS NOT NULL
        )
        SELECT FROM above WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'category % would stand below itself', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'categories_form_a_tree';
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER refuse_circle AFTER UPDATE OF parent_id ON catalog.categories
FOR EACH ROW WHEN (NEW.parent_id IS DISTINCT FROM OLD.parent_id)
EXECUTE FUNCTION catalog.refuse_circle_of_categories()""",
    """
CREATE FUNCTION catalog.keep_category_slugs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM catalog.category_slugs WHERE organization_id = NEW.organization_id AND category_id = NEW.id;
    INSERT INTO catalog.category_slugs (organization_id, category_id, locale, parent_id, slug)
    SELECT NEW.organization_id, NEW.id, s.key, NEW.parent_id, s.value FROM jsonb_each_text(NEW.slugs) s;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER keep_slugs_of_new AFTER INSERT ON catalog.categories
FOR EACH ROW WHEN (NEW.slugs <> '{}') EXECUTE FUNCTION catalog.keep_category_slugs()""",
    """
CREATE TRIGGER keep_slugs_of_changed AFTER UPDATE OF parent_id, slugs ON catalog.categories
FOR EACH ROW WHEN (NEW.slugs <> '{}' OR OLD.slugs <> '{}') EXECUTE FUNCTION catalog.keep_category_slugs()""",
)


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table in _GUARDED:
        for statement in guard("catalog", table):
            op.execute(statement)
    for statement in _TRIGGERS:
        op.execute(statement)
