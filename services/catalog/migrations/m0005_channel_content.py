"""What a channel (a shop, or a connection) has of its own and who owns which field there; order limits (CAT-4).

A field of a channel is in `given` once it had a value there; it is kept whoever owns the field. It is in one of
`channel_fields` and `master_fields`, or in neither: then a sub-shop shows what the shop above it shows.
"""

from alembic import op

from shared.history import watch_v1
from shared.messaging.schema import guard

revision = "0005"
down_revision = "0004"

_LIMITS = """
    CHECK (order_minimum >= 1 AND order_maximum >= 1 AND order_step >= 1),
    CHECK (order_minimum <= order_maximum),
    CHECK (order_minimum % order_step = 0 AND order_maximum % order_step = 0)"""

_PRODUCT_FIELDS = (
    "ARRAY['title', 'description_html', 'content_html', 'seo_title', 'seo_description', 'images', 'category_ids']"
)
_VARIANT_FIELDS = (
    "ARRAY['list_price', 'weight_grams', 'length_mm', 'width_mm', 'height_mm', 'backorder', 'order_limits']"
)


def _owners(fields: str) -> str:
    return f"""
    given text[] NOT NULL DEFAULT '{{}}' CHECK (given <@ {fields}),
    channel_fields text[] NOT NULL DEFAULT '{{}}',
    master_fields text[] NOT NULL DEFAULT '{{}}' CHECK (master_fields <@ {fields}),
    CONSTRAINT channel_shows_what_it_has CHECK (channel_fields <@ given),
    CONSTRAINT one_owner CHECK (NOT channel_fields && master_fields)"""


_TABLES = f"""
ALTER TABLE catalog.products ADD COLUMN content_html text;
ALTER TABLE catalog.product_texts ADD COLUMN content_html text;
ALTER TABLE catalog.variants ADD COLUMN order_minimum integer, ADD COLUMN order_maximum integer,
    ADD COLUMN order_step integer, {_LIMITS.replace("CHECK", "ADD CHECK")};
CREATE TABLE catalog.channel_products (
    organization_id uuid NOT NULL,
    shop_id uuid,
    connection_id uuid,
    channel_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(shop_id, connection_id)) STORED,
    product_id uuid NOT NULL,
    title text CHECK (title <> ''),
    description_html text,
    content_html text,
    seo_title text,
    seo_description text,
    images jsonb CHECK (jsonb_typeof(images) = 'array'),
    {_owners(_PRODUCT_FIELDS)},
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, product_id, channel_id),
    CHECK (num_nonnulls(shop_id, connection_id) = 1),
    CHECK (title IS NOT NULL OR 'title' <> ALL (given)),
    CHECK (description_html IS NOT NULL OR 'description_html' <> ALL (given)),
    CHECK (images IS NOT NULL OR 'images' <> ALL (given)),
    FOREIGN KEY (organization_id, product_id) REFERENCES catalog.products ON DELETE CASCADE,
    FOREIGN KEY (organization_id, shop_id) REFERENCES catalog.shops ON DELETE CASCADE
);
CREATE INDEX channel_products_channel ON catalog.channel_products (organization_id, channel_id, product_id);
CREATE TABLE catalog.channel_product_categories (
    organization_id uuid NOT NULL,
    product_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    category_id uuid NOT NULL,
    PRIMARY KEY (organization_id, product_id, channel_id, category_id),
    FOREIGN KEY (organization_id, product_id, channel_id) REFERENCES catalog.channel_products ON DELETE CASCADE,
    FOREIGN KEY (organization_id, category_id) REFERENCES catalog.categories ON DELETE CASCADE
);
CREATE INDEX channel_product_categories_category
    ON catalog.channel_product_categories (organization_id, category_id);
CREATE TABLE catalog.channel_variants (
    organization_id uuid NOT NULL,
    product_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    variant_id uuid NOT NULL,
    list_price bigint CHECK (list_price >= 0),
    list_price_currency text,
    weight_grams integer CHECK (weight_grams >= 0),
    length_mm integer CHECK (length_mm >= 0),
    width_mm integer CHECK (width_mm >= 0),
    height_mm integer CHECK (height_mm >= 0),
    backorder text CHECK (backorder IN ('allow', 'deny')),
    order_minimum integer,
    order_maximum integer,
    order_step integer,
    {_owners(_VARIANT_FIELDS)},
    PRIMARY KEY (organization_id, product_id, channel_id, variant_id),
    CHECK ((list_price IS NULL) = (list_price_currency IS NULL)),
    {_LIMITS},
    FOREIGN KEY (organization_id, product_id, channel_id) REFERENCES catalog.channel_products ON DELETE CASCADE,
    FOREIGN KEY (organization_id, variant_id) REFERENCES catalog.variants ON DELETE CASCADE
);
CREATE INDEX channel_variants_variant ON catalog.channel_variants (organization_id, variant_id)"""

# Each with its key, by which it is known in history.
_WATCHED = {
    "channel_products": ("product_id", "channel_id"),
    "channel_product_categories": ("product_id", "channel_id", "category_id"),
    "channel_variants": ("product_id", "channel_id", "variant_id"),
}


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    for table, key in _WATCHED.items():
        kept = watch_v1("catalog", table, entity="channel_content", key=key, subject="r.product_id")
        for statement in (*guard("catalog", table), *kept):
            op.execute(statement)
