"""What the products of a file are in the catalog: rules that hold for every file and every catalog."""

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.models import option_key
from services.catalog.repository.categories import category_slug, place
from services.catalog.repository.staging import KnownProduct, KnownVariant, Stored
from services.catalog.use_cases.resolution import resolve
from shared.identifiers import new_id
from shared.impex.rows import ProductRecord, VariantRecord

SLUGS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["S", "M", "L", "s"])
SKUS = st.sampled_from([f"SKU-{n}" for n in range(6)])
MODES = st.sampled_from(["merge", "insert-only", "update-only"])


@st.composite
def files(draw: st.DrawFn) -> list[ProductRecord]:
    """Products as a reader gives them: handles, SKUs, and option values within a product, each once."""
    skus = iter(draw(st.lists(SKUS, unique=True)))
    products = []
    for row, handle in enumerate(draw(st.lists(SLUGS, unique=True, max_size=3)), start=2):
        width = draw(st.integers(0, 2))
        combinations = draw(st.lists(st.tuples(*[VALUES] * width), max_size=3, unique_by=option_key))
        variants = []
        for values in combinations:
            sku = next(skus, None)
            made = sku is None or draw(st.booleans())
            sku = f"{handle}-{'-'.join(values)}".upper() if made else sku
            variants.append(VariantRecord(row=row, sku=sku or "", sku_generated=made, option_values=values))
        names = tuple(f"O{n}" for n in range(width))
        title = draw(st.sampled_from([None, "Title"]))
        records = {variant.sku: variant for variant in variants}
        products.append(ProductRecord(handle, (row,), title, option_names=names, variants=tuple(records.values())))
    return products


@st.composite
def catalogs(draw: st.DrawFn) -> Stored:
    """What a catalog may hold: every SKU once, option values within a product once and as many as options."""
    skus = iter(draw(st.lists(SKUS, unique=True)))
    products, owners = {}, {}
    for slug in draw(st.lists(SLUGS, unique=True, max_size=3)):
        width = draw(st.integers(0, 2))
        combinations = draw(st.lists(st.tuples(*[VALUES] * width), max_size=3, unique_by=option_key))
        variants = [KnownVariant(new_id(), sku, values) for sku, values in zip(skus, combinations, strict=False)]
        products[slug] = KnownProduct(
            new_id(), tuple(f"O{n}" for n in range(width)), tuple(variants), draw(st.booleans())
        )
        owners |= {variant.sku: slug for variant in variants}
    return Stored(products, owners)


@given(files(), catalogs(), MODES)
def test_whatever_comes_the_catalog_stays_true(products: list[ProductRecord], stored: Stored, mode: str) -> None:
    resolution = resolve(products, stored, mode)  # type: ignore[arg-type]
    skus = dict(stored.owners)
    for product in resolution.products:
        slug, known = product.record.handle, stored.products.get(product.record.handle)
        assert product.is_new == (known is None)
        options = product.options if product.options is not None else (known.options if known else ())
        state = {variant.id: (variant.sku, variant.option_values) for variant in (known.variants if known else ())}
        for variant in product.variants:
            assert variant.is_new == (variant.id not in state)
            assert skus.setdefault(variant.sku, slug) == slug, "a SKU belongs to one product"
            values = variant.option_values if variant.option_values is not None else state[variant.id][1]
            state[variant.id] = (variant.sku, values)
        if not product.is_kept:
            assert all(len(values) == len(options) for _, values in state.values())
        keys = [option_key(values) for _, values in state.values()]
        assert len(keys) == len(set(keys)), "variants of a product differ"
        assert len({sku for sku, _ in state.values()}) == len(state)
        assert not (mode == "update-only" and (product.is_new or any(v.is_new for v in product.variants)))
        assert not (mode == "insert-only" and any(not v.is_new for v in product.variants))


@given(files())
def test_the_same_file_again_finds_every_product_and_variant(products: list[ProductRecord]) -> None:
    first = resolve(products, Stored({}, {}), "merge")
    taken = {
        p.record.handle: KnownProduct(
            p.id, p.options or (), tuple(KnownVariant(v.id, v.sku, v.option_values or ()) for v in p.variants), True
        )
        for p in first.products
    }
    owners = {v.sku: p.record.handle for p in first.products for v in p.variants}
    again = resolve(products, Stored(taken, owners), "merge")
    assert [p.id for p in again.products] == [p.id for p in first.products]
    assert [[v.id for v in p.variants] for p in again.products] == [[v.id for v in p.variants] for p in first.products]
    assert not any(p.is_new or any(v.is_new for v in p.variants) for p in again.products)
    assert again.errors == first.errors


@given(st.lists(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3).map(tuple), max_size=6))
def test_paths_that_mean_the_same_place_get_one_category(paths: list[tuple[str, ...]]) -> None:
    ends, made = place(paths, {})
    assert set(ends) == set(paths)
    assert len({(c.parent_id, c.slug) for c in made}) == len(made)
    known = {(c.parent_id, c.slug): c.id for c in made}
    assert place(paths, known) == (ends, [])
    seen = set()
    for category in made:
        assert category.parent_id is None or category.parent_id in seen, "parents come first"
        seen.add(category.id)


@given(st.text(min_size=1))
def test_every_name_has_a_slug_that_is_its_own(name: str) -> None:
    slug = category_slug(name)
    assert slug
    assert category_slug(slug) == slug
