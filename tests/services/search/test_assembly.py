"""Offers from parts: what is sold, what is shown, and that the conditions explain exactly what the indexer did."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.use_cases.assembly import assemble, subjects_of
from services.search.use_cases.conditions import CONDITIONS, is_offered
from shared.contracts.catalog.offers import AttributePart, CategoryPart, MediaPart, PriceTier, ProductPart, VariantPart
from shared.contracts.inventory.shapes import Availability
from shared.contracts.search.shapes import Offer, OfferDetails
from shared.identifiers import new_id
from shared.measures import Dimensions, Weight
from shared.money import Money

TODAY = date(2026, 11, 22)


def a_tier(amount: int = 1000, minimum_quantity: int = 1) -> PriceTier:
    return PriceTier(minimum_quantity=minimum_quantity, price=Money(amount=amount, currency="USD"))


def a_variant(sku: str, **fields: Any) -> VariantPart:
    return VariantPart(**{"id": new_id(), "sku": sku, "options": {}, "tiers": [a_tier()], **fields})


def a_product(*variants: VariantPart, **fields: Any) -> ProductPart:
    category = CategoryPart(id=new_id(), slug="scarves", name="Scarves", path=["clothing", "scarves"], names=["C", "S"])
    defaults: dict[str, Any] = {
        "id": new_id(),
        "slug": "scarf",
        "title": "Scarf",
        "description_html": "<p>Warm &amp; soft</p>",
        "brand": "Northwind",
        "product_type": None,
        "tags": [],
        "status": "active",
        "is_assigned": True,
        "categories": [category],
        "images": [],
        "attributes": {},
        "variants": list(variants),
        "updated_at": "2026-11-22T00:00:00+00:00",
        "version": 1,
    }
    return ProductPart(**{**defaults, **fields})


def stock_of(**levels: int) -> dict[str, Availability]:
    return {sku: Availability(sku=sku, available=n > 0, available_quantity=n) for sku, n in levels.items()}


def named(ready: bytes) -> bytes:
    """Ready JSON as it is written down, with an id."""
    return b'{"id":"an-id",' + ready[1:]


def offer_of(product: ProductPart, stock: dict[str, Availability]) -> dict[str, Any] | None:
    offer = assemble(product, stock, TODAY).offer
    return None if offer is None else orjson.loads(offer.document)


@pytest.mark.feature("SEA-1")
def test_the_first_variant_that_can_be_bought_speaks_for_the_offer() -> None:
    product = a_product(a_variant("a"), a_variant("b", tiers=[a_tier(1500)]))
    offer = offer_of(product, stock_of(a=0, b=3))
    assert offer is not None
    assert (offer["sku"], offer["price"]["amount"], offer["available_quantity"]) == ("b", 1500, 3)
    assert [(variant["sku"], variant["available"]) for variant in offer["variants"]] == [("a", False), ("b", True)]


@pytest.mark.feature("SEA-1")
def test_values_keep_their_order_when_a_variant_sells_out() -> None:
    variants = [
        a_variant(f"{colour}-{size}", options={"Colour": colour, "Size": size}) for colour in "wb" for size in "SML"
    ]
    levels = {variant.sku: 5 for variant in variants}
    for sold_out in ([], ["w-S"], ["w-S", "w-M", "w-L"]):
        offer = offer_of(a_product(*variants), stock_of(**{**levels, **dict.fromkeys(sold_out, 0)}))
        assert offer is not None
        assert offer["options"]["Size"] == ["S", "M", "L"]
    assert offer["options"]["Colour"] == ["b"]


@pytest.mark.feature("SEA-1")
@pytest.mark.parametrize(("days", "availability"), [(1, "preorder"), (0, "in_stock"), (-1, "in_stock")])
def test_what_is_there_before_its_day_is_ordered_ahead(days: int, availability: str) -> None:
    begins = TODAY + timedelta(days=days)
    stock = Availability(sku="a", available=True, available_quantity=5, policy="preorder", available_from=begins)
    offer = assemble(a_product(a_variant("a")), {"a": stock}, TODAY).offer
    assert offer is not None
    assert orjson.loads(offer.page)["variants"][0]["availability"] == availability


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("value", "text", "facts"),
    [
        (True, "ja", ["x\x1ftrue\x1fX\x1fja"]),
        (12, "12", ["x\x1f12\x1fX\x1f12"]),
        (["a", "b"], "A, B", ["x\x1fa\x1fX\x1fA", "x\x1fb\x1fX\x1fB"]),
        # A label with a comma of its own: then the values speak for themselves.
        (["a", "b"], "A, with, B", ["x\x1fa\x1fX\x1fa", "x\x1fb\x1fX\x1fb"]),
    ],
)
def test_attributes_of_every_type_are_facets_if_they_say_so(value: Any, text: str, facts: list[str]) -> None:
    part = AttributePart(code="x", label="X", type="choices", value=value, text=text, is_facet=True)
    other = AttributePart(code="y", label="Y", type="text", value="z", text="z")
    offer = assemble(a_product(a_variant("a"), typed_attributes=[part, other]), stock_of(a=1), TODAY).offer
    assert offer is not None
    assert offer.fields.attributes == facts


@pytest.mark.feature("CAT-1", "SEA-3")
def test_the_page_has_media_measures_and_attributes_and_the_list_keeps_its_shape() -> None:
    fit = AttributePart(code="fit", label="Passform", type="choice", value="slim", text="schmal", is_facet=True)
    variant = a_variant(
        "a",
        barcodes=["96385074"],
        mpn="NW-1",
        weight=Weight(value=Decimal("0.50"), unit="lb"),
        dimensions=Dimensions(length=Decimal("12"), unit="in"),
        typed_attributes=[fit],
    )
    video = MediaPart(kind="video", url="https://videos.example/1.mp4", alt="Ein Film")
    product = a_product(variant, media=[video], typed_attributes=[fit], attributes={"fit": "schmal"})
    offer = assemble(product, stock_of(a=1), TODAY).offer
    assert offer is not None
    page = OfferDetails.model_validate_json(named(offer.page))
    assert [(m.kind, m.alt) for m in page.media] == [("video", "Ein Film")]
    assert [(a.label, a.value, a.text) for a in page.typed_attributes] == [("Passform", "slim", "schmal")]
    [shown] = page.variants
    assert (shown.barcodes, shown.mpn, shown.weight, shown.dimensions) == (
        ["96385074"],
        "NW-1",
        variant.weight,
        variant.dimensions,
    )
    assert offer.fields.codes == ["a", "96385074", "NW-1"]
    assert offer.fields.attributes == ["fit\x1fslim\x1fPassform\x1fschmal"]
    Offer.model_validate_json(named(offer.document))


@pytest.mark.feature("SEA-1")
def test_out_of_stock_leaves_and_a_promise_stays() -> None:
    product = a_product(a_variant("a"))
    assert offer_of(product, stock_of(a=0)) is None
    assert offer_of(product, {}) is None
    for policy in ("backorder", "preorder", "always"):
        offer = offer_of(product, {"a": Availability(sku="a", available=True, available_quantity=0, policy=policy)})
        assert offer is not None
        assert offer["available"] is True


@pytest.mark.feature("SEA-1")
def test_showroom_is_shown_and_cannot_be_bought() -> None:
    stock = {"a": Availability(sku="a", available=False, available_quantity=0, policy="showroom")}
    offer = offer_of(a_product(a_variant("a")), stock)
    assert offer is not None
    assert (offer["available"], offer["available_quantity"]) == (False, 0)


@pytest.mark.feature("SEA-1")
@pytest.mark.parametrize(
    "product",
    [
        a_product(a_variant("a"), status="draft"),
        a_product(a_variant("a"), is_assigned=False),
        a_product(a_variant("a", tiers=[])),
        a_product(a_variant("a", tiers=[a_tier(minimum_quantity=10)])),
        a_product(),
    ],
)
def test_what_misses_a_condition_is_no_offer(product: ProductPart) -> None:
    assert offer_of(product, stock_of(a=5)) is None


@pytest.mark.feature("SEA-1")
def test_a_coming_date_is_when_the_offer_is_built_again() -> None:
    begins, ends = TODAY + timedelta(days=2), TODAY + timedelta(days=9)
    stock = {
        "a": Availability(sku="a", available=True, available_quantity=1, available_from=begins, available_until=ends)
    }
    product = a_product(a_variant("a"))
    before = assemble(product, stock, TODAY)
    assert before.offer is None
    assert before.changes_at == datetime(2026, 11, 24, tzinfo=UTC)
    during = assemble(product, stock, begins)
    assert during.offer is not None
    assert during.changes_at == datetime(2026, 12, 2, tzinfo=UTC)
    assert assemble(product, stock, ends + timedelta(days=1)).offer is None


@pytest.mark.feature("SEA-1")
def test_documents_are_what_the_contract_says() -> None:
    variant = a_variant("a", options={"Colour": "Red"}, tiers=[a_tier(), a_tier(900, 10)], barcode="4006381333931")
    offer = assemble(a_product(variant), stock_of(a=2), TODAY).offer
    assert offer is not None
    listed, page = Offer.model_validate_json(named(offer.document)), OfferDetails.model_validate_json(named(offer.page))
    assert listed.options == {"Colour": ["Red"]}
    assert [tier.price.amount for tier in page.variants[0].tiers] == [1000, 900]
    assert page.seo.description == "Warm & soft"
    assert [[crumb.slug for crumb in crumbs] for crumbs in page.breadcrumbs] == [["clothing", "scarves"]]


@pytest.mark.feature("SEA-1")
def test_hostile_markup_takes_no_time() -> None:
    product = a_product(a_variant("a"), description_html="<script" * 70_000 + "<" * 10_000)
    offer = assemble(product, stock_of(a=1), TODAY).offer
    assert offer is not None
    assert len(offer.fields.text) <= 20_000


_DAYS = st.none() | st.dates(TODAY - timedelta(days=3), TODAY + timedelta(days=3))
_STOCK = st.builds(
    Availability,
    sku=st.just("x"),
    available=st.booleans(),
    available_quantity=st.integers(0, 2),
    policy=st.sampled_from(["standard", "backorder", "preorder", "always", "showroom"]),
    available_from=_DAYS,
    available_until=_DAYS,
)
_VARIANT = st.tuples(st.lists(st.sampled_from([1, 5]), max_size=2, unique=True), st.booleans(), st.none() | _STOCK)


@pytest.mark.feature("SEA-1", "SEA-6")
@given(st.lists(_VARIANT, max_size=4), st.sampled_from(["draft", "active", "paused", "archived"]), st.booleans())
def test_conditions_explain_what_the_indexer_does(
    drawn: list[tuple[list[int], bool, Availability | None]], status: str, is_assigned: bool
) -> None:
    variants = [
        a_variant(f"v{n}", tiers=[a_tier(minimum_quantity=q) for q in tiers], price_on_request=on_request)
        for n, (tiers, on_request, _) in enumerate(drawn)
    ]
    stock = {f"v{n}": own.model_copy(update={"sku": f"v{n}"}) for n, (_, _, own) in enumerate(drawn) if own is not None}
    product = a_product(*variants, status=status, is_assigned=is_assigned)
    subjects = subjects_of(product, stock, TODAY)
    offer = offer_of(product, stock)
    assert (offer is not None) == any(is_offered(subject) for subject in subjects)
    if offer is None:
        return
    listed = {variant["sku"]: variant for variant in offer["variants"]}
    for subject in subjects:
        failed = {condition.name for condition in CONDITIONS if not condition.holds(subject)}
        assert (subject.variant.sku in listed) == (failed <= {"in_stock"})
        if subject.variant.sku in listed:
            assert listed[subject.variant.sku]["available"] == (not failed and subject.can_be_bought)
    assert offer["available"] == any(variant["available"] for variant in offer["variants"])
    assert offer["sku"] in {subject.variant.sku for subject in subjects if is_offered(subject)}


@pytest.mark.feature("SEA-1")
def test_a_shop_that_keeps_what_is_sold_out_shows_it_only_where_nothing_is_left() -> None:
    def assembled(stock: dict[str, Availability], product: ProductPart) -> Any:
        return assemble(product, stock, TODAY, keeps_sold_out=True).offer

    product = a_product(a_variant("a", options={"Colour": "Red"}), a_variant("b", options={"Colour": "Blue"}))
    assert assemble(product, stock_of(a=0, b=0), TODAY).offer is None
    kept = assembled(stock_of(a=0, b=0), product)
    assert (kept.fields.is_sold_out, kept.fields.is_available, kept.fields.price) == (True, False, 1000)
    document = Offer.model_validate_json(named(kept.document))
    assert (document.available, document.available_quantity, len(document.variants)) == (False, 0, 2)
    assert {variant.availability for variant in OfferDetails.model_validate_json(named(kept.page)).variants} == {
        "out_of_stock"
    }
    # What can be bought, or is shown for another reason, is as in every shop.
    for stock in (stock_of(a=0, b=3), stock_of(a=0) | {"b": Availability(**_SHOWROOM)}):
        assert assembled(stock, product) == assemble(product, stock, TODAY).offer
    # What is not sold at all is not sold out.
    assert assembled(stock_of(a=0, b=0), a_product(a_variant("a"), a_variant("b"), status="draft")) is None
    assert assembled(stock_of(a=0), a_product(a_variant("a", tiers=[]))) is None


_SHOWROOM = Availability(sku="b", available=False, available_quantity=0, policy="showroom").model_dump()
