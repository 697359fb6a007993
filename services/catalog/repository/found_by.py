"""What products are found by, in one statement for some hundred of them. Rows are looked up one by one, by index."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


async def list_found_by(uow: UnitOfWork, product_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Those of these products that there are; `variants` is JSON."""
    return await uow.fetch(_LIST, list(product_ids))


_LIST = """
SELECT p.*, t.titles, v.variants, c.has_category FROM unnest($1::uuid[]) AS asked (id) CROSS JOIN LATERAL (
    SELECT id, status, title, brand, product_type, tags, options, description_html <> '' AS has_description,
        images <> '[]' AS has_image, coalesce(seo_title, seo_description) IS NOT NULL AS has_seo
    FROM products WHERE id = asked.id OFFSET 0) p
CROSS JOIN LATERAL (
    SELECT array_agg(title ORDER BY locale) FILTER (WHERE title IS NOT NULL) AS titles
    FROM product_texts WHERE product_id = p.id) t
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_object('sku', sku, 'barcode', barcode, 'barcodes', barcodes, 'mpn', mpn,
        'options', option_values, 'has_weight', weight_grams IS NOT NULL,
        'has_price', price_on_request OR EXISTS (SELECT FROM prices WHERE variant_id = v.id),
        'prices', (SELECT json_agg(lowest) FROM (
            SELECT min(r.price) AS amount, l.currency FROM prices r JOIN price_lists l ON l.id = r.price_list_id
            WHERE r.variant_id = v.id AND r.price IS NOT NULL AND coalesce(r.ends_at, 'infinity') > now()
                AND coalesce(l.ends_at, 'infinity') > now() GROUP BY l.currency ORDER BY l.currency) lowest))
        ORDER BY position, sku) AS variants
    FROM variants v WHERE product_id = p.id) v
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM product_categories WHERE product_id = p.id OFFSET 0) AS has_category) c
"""


async def list_keys(
    uow: UnitOfWork,
    skus: Sequence[str],
    barcodes: Sequence[str],
    slugs: Sequence[str],
    product_ids: Sequence[UUID],
) -> list[asyncpg.Record]:
    """`kind` (sku, barcode, slug or id), the `key` that was asked for, and the product's id and slug."""
    return await uow.fetch(_KEYS, skus, barcodes, slugs, product_ids)


# Each looked up by itself: what a planner thinks of a thousand keys at once depends on statistics that lag behind.
_KEYS = """
SELECT 'sku' AS kind, asked.sku AS key, v.product_id, NULL AS slug FROM unnest($1::text[]) AS asked (sku)
    CROSS JOIN LATERAL (SELECT product_id FROM variants WHERE sku = asked.sku OFFSET 0) v
UNION ALL SELECT 'barcode', asked.barcode, v.product_id, NULL FROM unnest($2::text[]) AS asked (barcode)
    CROSS JOIN LATERAL (SELECT product_id FROM variants WHERE barcode = asked.barcode
        UNION SELECT w.product_id FROM variant_barcodes b JOIN variants w ON w.id = b.variant_id
        WHERE b.barcode = asked.barcode OFFSET 0) v
UNION ALL SELECT 'slug', asked.slug, p.id, p.slug FROM unnest($3::text[]) AS asked (slug)
    CROSS JOIN LATERAL (SELECT id, slug FROM products WHERE slug = asked.slug OFFSET 0) p
UNION ALL SELECT 'id', p.id::text, p.id, p.slug FROM unnest($4::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (SELECT id, slug FROM products WHERE id = asked.id OFFSET 0) p
"""
