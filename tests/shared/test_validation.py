"""What pydantic finds wrong is said in our words, whatever it finds."""

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError
from pydantic_core._pydantic_core import list_all_errors

from shared.contracts.base import Shape
from shared.validation import sentence_of

pytestmark = pytest.mark.feature("GAT-1")

_ALL: list[Any] = list_all_errors()
_OURS = {"value_error", "assertion_error"}
_LIBRARY = re.compile(r"Input|Field|String|List|should|valid|instance|dictionary|tuple|object to|pattern|[{}]")


@pytest.mark.parametrize("error", _ALL, ids=[each["type"] for each in _ALL])
def test_no_sentence_is_the_librarys(error: Any) -> None:
    context = error.get("example_context")
    item = {"type": error["type"], "msg": error["example_message_python"], "input": None, "loc": ()}
    sentence = sentence_of(item | ({"ctx": context} if context else {}), None)
    assert sentence
    if error["type"] not in _OURS:
        assert not _LIBRARY.search(sentence), sentence


def test_our_own_words_stay() -> None:
    class Odd(Shape):
        number: int

    custom = PydanticCustomError("odd", "Give an odd number, not {number}", {"number": 2})
    item = {"type": custom.type, "msg": custom.message(), "ctx": custom.context, "input": 2, "loc": ("number",)}
    assert sentence_of(item, Odd.model_fields["number"]) == "Give an odd number, not 2"
    said = {"type": "value_error", "msg": "Value error, a synonym takes two words", "input": 2, "loc": ()}
    assert sentence_of(said, None) == "a synonym takes two words"
