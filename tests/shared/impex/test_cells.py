"""From text to values: exact, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.impex import cells
from shared.impex.cells import InvalidCell
from shared.impex.keys import KeyIndex, generated_sku, slug
from shared.money import exponent

pytestmark = pytest.mark.feature("CAT-5")


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("1.50", "USD", 150),
        ("1,50", "EUR", 150),
        ("50", "USD", 5000),
        ("0", "USD", 0),
        ("0.5", "USD", 50),
        ("1 234,50", "EUR", 123450),
        ("1\u00a0234,50", "EUR", 123450),
        ("1'234.50", "CHF", 123450),
        ("1,234.50", "USD", 123450),
        ("1.234,50", "EUR", 123450),
        ("1,234,567", "USD", 123456700),
        ("$19.99", "USD", 1999),
        ("19.99 USD", "USD", 1999),
        ("19,99 €", "EUR", 1999),
        ("9.9900", "USD", 999),
        ("1,234", "JPY", 1234),
        ("100.00", "JPY", 100),
        ("1.234", "KWD", 1234),
    ],
)
def test_prices_are_read_exactly(text: str, currency: str, amount: int) -> None:
    assert cells.price(text, currency).amount == amount


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "1.2.3",
        "1,2,3",
        "12,34,56",
        "1e3",
        "NaN",
        "Infinity",
        "19.999",
        "1.234",
        "1,234",
        "€5",
        "5.",
        "١٢",
        "9" * 20,
    ],
)
def test_what_is_not_surely_a_price_is_refused(text: str) -> None:
    with pytest.raises(InvalidCell) as refused:
        cells.price(text, "USD")
    assert refused.value.code == "invalid_price"


@pytest.mark.parametrize("text", ["-1", "-1.50", "(3.00)", "$-2"])
def test_negative_prices_are_refused_as_such(text: str) -> None:
    with pytest.raises(InvalidCell) as refused:
        cells.price(text, "USD")
    assert refused.value.code == "negative_price"


@given(st.integers(0, 10**15), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_any_amount_survives_being_written(amount: int, currency: str) -> None:
    digits = exponent(currency)
    text = f"{amount // 10**digits}.{amount % 10**digits:0{digits}d}" if digits else str(amount)
    assert cells.price(text, currency).amount == amount


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("1.0", 1), ("1,00", 1), ("-4", -4), ("+2", 2)])
def test_whole_numbers(text: str, number: int) -> None:
    assert cells.integer(text) == number


@pytest.mark.parametrize("text", ["1.5", "1,000,000", "many", "1e3", "99999999999", "0x10"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidCell, match="not a whole number"):
        cells.integer(text)


def test_weights_are_rounded_to_grams() -> None:
    assert [cells.grams(text) for text in ("350", "0.5", "120,4", "0")] == [350, 1, 120, 0]
    for text in ("-1", "heavy", "9999999999"):
        with pytest.raises(InvalidCell) as refused:
            cells.grams(text)
        assert refused.value.code == "invalid_weight"


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), ("yes", True), ("1", True), ("False", False), ("FALSCH", False)]
)
def test_booleans(text: str, value: bool) -> None:
    assert cells.boolean(text) is value


def test_other_words_are_not_booleans() -> None:
    with pytest.raises(InvalidCell) as refused:
        cells.boolean("maybe")
    assert refused.value.code == "invalid_boolean"


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("96385074", "96385074"),
        ("036000291452", "036000291452"),
        ("4006381333931", "4006381333931"),
        ("'4006381333931", "4006381333931"),
        ("400-6381 333931", "4006381333931"),
        ("10614141000415", "10614141000415"),
    ],
)
def test_gtins_of_every_length(text: str, digits: str) -> None:
    assert cells.gtin(text) == digits


@pytest.mark.parametrize("text", ["4006381333932", "36000291452", "ABC", "4.00638E+12", "٤٠٠٦٣٨١٣٣٣٩٣١", "1" * 15])
def test_wrong_gtins_are_refused(text: str) -> None:
    with pytest.raises(InvalidCell) as refused:
        cells.gtin(text)
    assert refused.value.code == "invalid_gtin"


@given(st.sampled_from([7, 11, 12, 13]).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)), st.data())
def test_a_single_wrong_digit_never_passes(body: str, data: st.DataObject) -> None:
    number = body + cells.check_digit(body)
    assert cells.gtin(number) == number
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[place]]))
    with pytest.raises(InvalidCell):
        cells.gtin(number[:place] + other + number[place + 1 :])


def test_addresses() -> None:
    assert cells.url("https://images.example/a.jpg?v=1") == "https://images.example/a.jpg?v=1"
    for text in ("javascript:alert(1)", "ftp://images.example/a", "/a.jpg", "https://", "https://a b"):
        with pytest.raises(InvalidCell):
            cells.url(text)


def test_slugs_and_generated_skus() -> None:
    assert slug("Café au lait 1/2") == "cafe-au-lait-1-2"
    assert slug("日本 茶") == "日本-茶"
    assert slug(" ★ ") == ""
    assert generated_sku("classic-varsity-top", ("Small",)) == "CLASSIC-VARSITY-TOP-SMALL"
    assert generated_sku("mug", ("★", "Dark Blue")) == "MUG-DARK-BLUE"


def test_key_index_remembers_the_first_row_of_each() -> None:
    index = KeyIndex()
    assert [index.add(f"key-{n}", n + 2) for n in range(5000)] == [None] * 5000
    assert [index.add(f"key-{n}", 1) for n in range(5000)] == [n + 2 for n in range(5000)]
    assert [index.find(f"key-{n}") for n in range(4999, 5002)] == [5001, None, None]
    assert len(index) == 5000
