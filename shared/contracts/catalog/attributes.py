"""Attributes: what a fact about products is called, of which kind it is, and which values it may have."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.base import Change, Command, Done, Page, Query, Shape
from shared.contracts.catalog.shapes import AttributeCode, Locale, Name
from shared.pagination import First

AttributeType = Literal["text", "integer", "decimal", "boolean", "date", "choice", "choices"]
# Values of `choices` are stored side by side, a bar between them.
ChoiceValue = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^|]+$")]
Unit = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
MOST_CHOICES = 1000


class Choice(Shape):
    """A value that may be chosen: `value` is stored, `label` and `labels` (by locale) are shown."""

    value: ChoiceValue
    label: Name | None = None
    labels: dict[Locale, Name] = {}


class Attribute(Shape):
    """A fact that products or variants have: under `code` in their `attributes`, with values of `type`.

    `is_facet` says that shoppers may narrow what they see by it.
    """

    id: UUID
    code: str
    label: str
    labels: dict[str, str]
    type: AttributeType
    unit: str | None
    is_facet: bool
    choices: list[Choice]
    version: int
    created_at: datetime
    updated_at: datetime


class AttributeDraft(Shape):
    """An attribute to define. Its `code` is the name that products hold it under, and stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "fit",
                "label": "Fit",
                "labels": {"de": "Passform"},
                "type": "choice",
                "is_facet": True,
                "choices": [{"value": "slim", "label": "Slim", "labels": {"de": "schmal"}}, {"value": "wide"}],
            }
        }
    )

    code: AttributeCode
    label: Name
    labels: dict[Locale, Name] = {}
    type: AttributeType = "text"
    unit: Unit | None = None
    is_facet: bool = False
    choices: Annotated[list[Choice], Field(max_length=MOST_CHOICES)] = []


class AttributeChange(Change):
    """What is to be different in an attribute; `labels` and `choices` replace all of them, null takes the unit away."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"label": "Width", "labels": {"de": "Breite"}, "type": "decimal", "unit": "cm"}}
    )

    label: Name | None = None
    labels: dict[Locale, Name] | None = None
    type: AttributeType | None = None
    unit: Unit | None = None
    is_facet: bool | None = None
    choices: Annotated[list[Choice], Field(max_length=MOST_CHOICES)] | None = None

    @model_validator(mode="after")
    def _only_the_unit_may_be_empty(self) -> "AttributeChange":
        for name, value in self.given().items():
            if value is None and name != "unit":
                raise ValueError(f"'{name}' cannot be null; leave it out to keep it")
        return self


class ListAttributes(Query[Page[Attribute]]):
    """Your attributes by code."""

    first: First = 50
    after: str | None = None


class GetAttribute(Query[Attribute]):
    """One attribute. Raises attribute_not_found."""

    attribute_id: UUID


class DefineAttribute(Command[Attribute]):
    """Define an attribute. Values that products have under its code already must fit its type.

    Raises attribute_code_taken, invalid_attribute, values_do_not_fit.
    """

    draft: AttributeDraft


class UpdateAttribute(Command[Attribute]):
    """Change an attribute; with `version`, only if it still has that one.

    Values that products have must fit a new type or choices.
    Raises attribute_not_found, attribute_changed_since, invalid_attribute, values_do_not_fit.
    """

    attribute_id: UUID
    change: AttributeChange
    version: int | None = None


class RemoveAttribute(Command[Done]):
    """Remove a definition; the values stay with their products, as plain texts. Raises attribute_not_found."""

    attribute_id: UUID
    version: int | None = None
