"""Shops as catalog knows them, products, variants, categories, price lists, imports."""

from alembic import op

from shared.messaging.schema import guard
from shared.shop_copy import shops_v1

revision = "0002"
down_revision = "0001"

_OF_SHOPS = {"name": "text", "currency": "text", "locale": "text", "strict_pricing": "boolean"}
_TABLES = """
CREATE TABLE catalog.products (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    slug text NOT NULL CHECK (slug <> ''),
    title text NOT NULL CHECK (title <> ''),
    description_html text NOT NULL DEFAULT '',
    brand text,
    product_type text,
    tags text[] NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived')),
    seo_title text,
    seo_description text,
    options text[] NOT NULL DEFAULT '{}' CHECK (cardinality(options) <= 3),
    attributes jsonb NOT NULL DEFAULT '{}',
    images jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(images) = 'array'),
    featured boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, slug)
);
CREATE TABLE catalog.product_texts (
    organization_id uuid NOT NULL,
    product_id uuid NOT NULL,
    locale text NOT NULL,
    title text,
    description_html text,
    seo_title text,
    seo_description text,
    PRIMARY KEY (organization_id, product_id, locale),
    FOREIGN KEY (organization_id, product_id) REFERENCES catalog.products ON DELETE CASCADE
);
CREATE TABLE catalog.variants (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    sku text NOT NULL CHECK (sku <> ''),
    sku_generated boolean NOT NULL DEFAULT false,
    position integer NOT NULL DEFAULT 0,
    option_values text[] NOT NULL DEFAULT '{}' CHECK (cardinality(option_values) <= 3),
    option_key text NOT NULL,
    barcode text,
    mpn text,
    weight_grams integer CHECK (weight_grams >= 0),
    tax_code text,
    requires_shipping boolean NOT NULL DEFAULT true,
    taxable boolean NOT NULL DEFAULT true,
    price_on_request boolean NOT NULL DEFAULT false,
    image_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, sku),
    -- Deferred: an import may exchange the options of two variants in one statement.
    UNIQUE (organization_id, product_id, option_key) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (organization_id, product_id) REFERENCES catalog.products ON DELETE CASCADE
);
CREATE TABLE catalog.categories (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    parent_id uuid CHECK (parent_id <> id),
    slug text NOT NULL CHECK (slug <> ''),
    name text NOT NULL CHECK (name <> ''),
    names jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    position integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, id),
    UNIQUE NULLS NOT DISTINCT (organization_id, parent_id, slug),
    FOREIGN KEY (organization_id, parent_id) REFERENCES catalog.categories
);
CREATE INDEX categories_slug ON catalog.categories (organization_id, slug);
CREATE TABLE catalog.product_categories (
    organization_id uuid NOT NULL,
    product_id uuid NOT NULL,
    category_id uuid NOT NULL,
    PRIMARY KEY (organization_id, product_id, category_id),
    FOREIGN KEY (organization_id, product_id) REFERENCES catalog.products ON DELETE CASCADE,
    FOREIGN KEY (organization_id, category_id) REFERENCES catalog.categories ON DELETE CASCADE
);
CREATE INDEX product_categories_category ON catalog.product_categories (organization_id, category_id);
CREATE TABLE catalog.shop_categories (
    organization_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    category_id uuid NOT NULL,
    PRIMARY KEY (organization_id, shop_id, category_id),
    FOREIGN KEY (organization_id, shop_id) REFERENCES catalog.shops ON DELETE CASCADE,
    FOREIGN KEY (organization_id, category_id) REFERENCES catalog.categories ON DELETE CASCADE
);
CREATE TABLE catalog.price_lists (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    shop_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    currency text NOT NULL,
    customer_group text,
    starts_at timestamptz,
    ends_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    CHECK (ends_at > starts_at),
    FOREIGN KEY (organization_id, shop_id) REFERENCES catalog.shops ON DELETE CASCADE
);
CREATE INDEX price_lists_shop ON catalog.price_lists (organization_id, shop_id);
CREATE TABLE catalog.prices (
    organization_id uuid NOT NULL,
    price_list_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    minimum_quantity integer NOT NULL DEFAULT 1 CHECK (minimum_quantity >= 1),
    price bigint NOT NULL CHECK (price >= 0),
    list_price bigint CHECK (list_price >= 0),
    PRIMARY KEY (organization_id, variant_id, price_list_id, minimum_quantity),
    -- Its key to price_lists is checked in sets (m0007): row by row that costs three times the row itself (measured).
    FOREIGN KEY (organization_id, variant_id) REFERENCES catalog.variants ON DELETE CASCADE
);
CREATE INDEX prices_list ON catalog.prices (organization_id, price_list_id);
CREATE TABLE catalog.imports (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    item_group text NOT NULL,
    profile text,
    mode text NOT NULL CHECK (mode IN ('merge', 'insert-only', 'update-only')),
    dry_run boolean NOT NULL,
    shop_id uuid,
    file_name text,
    key text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, job_id) REFERENCES catalog.jobs
);
CREATE TABLE catalog.import_remarks (
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
    FOREIGN KEY (organization_id, import_id) REFERENCES catalog.imports ON DELETE CASCADE
);
CREATE INDEX import_remarks_row ON catalog.import_remarks (organization_id, import_id, is_error, row_number)"""

_GUARDED = (
    "products",
    "product_texts",
    "variants",
    "categories",
    "product_categories",
    "shop_categories",
    "price_lists",
    "prices",
    "imports",
    "import_remarks",
)


def upgrade() -> None:
    for statement in shops_v1("catalog", _OF_SHOPS, optional={"parent_id": "uuid", "storefront_url": "text"}):
        op.execute(statement)
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table in _GUARDED:
        for statement in guard("catalog", table):
            op.execute(statement)
