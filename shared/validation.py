"""What pydantic finds wrong, in sentences that a person can act on: the one place where its errors become ours.

Its codes stay as they are (`docs.pydantic.dev`, "Validation Errors"): clients know them. Its words do not, where they
are about the library: patterns, types of Python, where in a text its reader gave up.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core.core_schema import ErrorType

Place = tuple[int | str, ...]

_SENTENCES = {
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "Give a date and time as 2026-03-01T00:00:00Z",
    ),
    "timezone_aware": "Give the time zone, too, as in 2026-03-01T00:00:00Z or 2026-03-01T00:00:00+01:00",
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        "Give a date as 2026-03-01",
    ),
    **dict.fromkeys(
        ("uuid_type", "uuid_parsing", "uuid_version"), "Give an id as 0192f0c1-7d3a-7e3c-9b1a-2f6d5c4b3a29"
    ),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "Give a whole number, as 3"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "Give true or false"),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "Give a number, as 1.5"),
    "missing": "It is missing",
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), "Give a text"),
    "finite_number": "Give a number that is not infinite",
    "none_required": "Leave it out, or give null",
    **dict.fromkeys(
        ("url_type", "url_parsing", "url_syntax_violation", "url_scheme"), "Give an address as https://example.com"
    ),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "Give a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "Give an object"),
    "extra_forbidden": "There is no such field here",
}
# Those of which a number, or a choice, is the point: pydantic tells it as `ctx`.
_MEASURED = {
    "string_too_long": "At most {max_length} characters",
    "string_too_short": "At least {min_length} characters",
    "too_long": "At most {max_length} entries",
    "too_short": "At least {min_length} entries",
    "bytes_too_long": "At most {max_length} bytes",
    "bytes_too_short": "At least {min_length} bytes",
    "greater_than": "Give a number greater than {gt}",
    "greater_than_equal": "Give {ge} or more",
    "less_than": "Give a number less than {lt}",
    "less_than_equal": "Give {le} or less",
    "multiple_of": "Give a multiple of {multiple_of}",
    "decimal_max_digits": "At most {max_digits} digits",
    "decimal_max_places": "At most {decimal_places} decimal places",
    "decimal_whole_digits": "At most {whole_digits} digits before the point",
    "literal_error": "Give {expected}",
    "enum": "Give {expected}",
    "union_tag_invalid": "{discriminator} takes {expected_tags}",
    "union_tag_not_found": "{discriminator} says which it is, and is missing",
}
_EMPTY = frozenset({"string_too_short", "too_short", "bytes_too_short"})
# What is said of anything else that the library finds: its own words are for programmers.
_UNFIT = "It does not have the form it needs"
_OF_THE_LIBRARY = frozenset(get_args(ErrorType))
# Words of our own validators, behind the library's.
_OURS = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}
# Numbers and truth values that came as texts: what is between the quotation marks may be right.
_NEVER_A_TEXT = frozenset({"int_type", "bool_type", "float_type"})
# How the contracts write that a text is free of NUL, or of all control characters, whatever else it is.
_WITHOUT_CONTROLS = ("^[^\\x00]", "^[^\\x00-\\x1f\\x7f]")


def entries_of(error: ValidationError, shape: Any) -> list[dict[str, Any]]:
    """What is wrong with values of this shape as entries of a problem's `errors`: where, a stable code, a sentence."""
    found = error.errors(include_url=False)
    return [entry_of(item, field_at(shape, item["loc"])) for item in found]


def entry_of(item: Mapping[str, Any], field: FieldInfo | None) -> dict[str, Any]:
    """One of pydantic's errors, about this field if it is known which, as an entry of `errors`."""
    pointer = "/" + "/".join(map(str, item["loc"]))
    return {"pointer": pointer, "code": item["type"], "message": sentence_of(item, field)}


def sentence_of(item: Mapping[str, Any], field: FieldInfo | None) -> str:
    """One of pydantic's errors, about this field if it is known which; without a full stop."""
    kind: str = item["type"]
    if kind == "string_pattern_mismatch":
        return _about_form(item["ctx"]["pattern"] if "ctx" in item else "", field)
    if kind in _SENTENCES:
        is_quoted = kind in _NEVER_A_TEXT and isinstance(item.get("input"), str)
        return _SENTENCES[kind] + (", without quotation marks" if is_quoted else "")
    if kind in _MEASURED and (told := item.get("ctx")):
        return "It is empty" if kind in _EMPTY and told["min_length"] == 1 else _MEASURED[kind].format_map(told)
    said: str = item["msg"]
    if kind in _OURS:
        return said.removeprefix(_OURS[kind])
    return _UNFIT if kind in _OF_THE_LIBRARY else said


def first_sentence(error: ValidationError, shape: Any) -> tuple[Place, str]:
    """Where the first thing that is wrong with values of this shape is, and what."""
    first = error.errors(include_url=False)[0]
    return first["loc"], sentence_of(first, field_at(shape, first["loc"]))


def _about_form(pattern: str, field: FieldInfo | None) -> str:
    if pattern.startswith(_WITHOUT_CONTROLS):
        return "Control characters are not allowed"
    sentence = _UNFIT
    if field is not None and field.examples:
        sentence += f", such as {field.examples[0]}"
    if field is not None and field.description:
        sentence += f". {field.description.strip().removesuffix('.')}"
    return sentence


# --- which field an error is about


def field_at(shape: Any, place: Sequence[int | str]) -> FieldInfo | None:
    """The field of this shape (or any annotation) at the place that an error names, if it says what it is for."""
    return next(_fields_at(shape, tuple(place)), None)


def _fields_at(annotation: Any, place: Place, *found: FieldInfo) -> Iterator[FieldInfo]:
    """Every field that `place` may mean, what is said closest to it first. `found` is what leads up to it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        told = [note for note in inner[1:] if isinstance(note, FieldInfo)]
        yield from _fields_at(inner[0], place, *told, *found)
    elif origin in (Union, UnionType):
        for each in inner:
            yield from _fields_at(each, place, *found)
    elif not place:
        yield from (field for field in found if field.examples or field.description)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _fields_of_model(annotation, place)
    elif inner:
        # An item of a list, or what a table has under a key.
        yield from _fields_at(inner[-1] if origin is dict else inner[0], place[1:])


def _fields_of_model(model: type[BaseModel], place: Place) -> Iterator[FieldInfo]:
    for name, field in model.model_fields.items():
        if place[0] in _names_of(name, field):
            yield from _fields_at(field.annotation, place[1:], field)


def _names_of(name: str, field: FieldInfo) -> set[Any]:
    alias = field.validation_alias
    return {name, field.alias, *(alias.choices if isinstance(alias, AliasChoices) else (alias,))} - {None}
