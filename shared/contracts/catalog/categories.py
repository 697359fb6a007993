"""Categories as the doors give and take them; the tree as a whole is in `tree.py`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from shared.contracts.base import Change, Shape
from shared.contracts.catalog.shapes import Locale, Moment, Name, Slug

Position = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class Category(Shape):
    """A category. `shops` are the codes of those it, and with it its branch, is assigned to.

    `names` and `slugs` are by locale. Outside its dates its branch is not sold, as if it were not enabled.
    """

    id: UUID
    parent_id: UUID | None
    slug: str
    slugs: dict[str, str]
    name: str
    names: dict[str, str]
    enabled: bool
    valid_from: datetime | None
    valid_until: datetime | None
    position: int
    shops: list[str]
    version: int


class CategoryDraft(Shape):
    """A category to create; `names` and `slugs` by locale. Without a slug it gets one from its name."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Scarves",
                "slug": "scarves",
                "slugs": {"de": "schals"},
                "names": {"de": "Schals"},
                "parent_id": "0192f0c1-7a10-7cc3-8a52-6d1f0a3b9c11",
                "valid_from": "2026-09-01T00:00:00+02:00",
                "valid_until": "2027-03-31T00:00:00+02:00",
                "shops": ["main"],
            }
        }
    )

    name: Name
    slug: Slug | None = None
    slugs: dict[Locale, Slug] = {}
    parent_id: UUID | None = None
    names: dict[Locale, Name] = {}
    enabled: bool = True
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    position: Position = 0
    shops: list[str] = []


class CategoryChange(Change):
    """What is to be different in a category; what is absent stays. `names` and `slugs` replace all of them.

    Null takes a date away. Its place in the tree is changed by moving it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"name": "Winter scarves", "slug": "winter-scarves", "enabled": True, "valid_until": None}
        }
    )

    name: Name | None = None
    names: dict[Locale, Name] | None = None
    slug: Slug | None = None
    slugs: dict[Locale, Slug] | None = None
    enabled: bool | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    position: Position | None = None

    @model_validator(mode="after")
    def _only_dates_may_be_empty(self) -> "CategoryChange":
        for name, value in self.given().items():
            if value is None and name not in ("valid_from", "valid_until"):
                raise ValueError(f"'{name}' cannot be null; leave it out to keep it")
        return self
