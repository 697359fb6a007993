"""Drop folders: files that are laid into a shop's folder are imported by its rules."""

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from shared.contracts.accounts.shapes import TimeZone, WebAddress
from shared.contracts.base import Command, Page, Query, Shape
from shared.contracts.platform.imports import GROUPS, GuardPercent, ImportMode, MissingPolicy, OnError
from shared.measures import WeightUnit
from shared.pagination import First

_Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class DropRule(Shape):
    """What is done with files whose names match `pattern`: `*` stands for anything, `?` for one character.

    With `reindex` the shop's search index is built anew once an import has succeeded. `format`, `encoding`, `delimiter`
    and `sheet` say how such files are read, where that is not to be found out; `weight_unit`, `media_base_url` and
    `time_zone` what they leave open.
    """

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^/\x00]+$")]
    group: _Word = "products"
    profile: _Word | None = None
    mode: ImportMode = "merge"
    missing: MissingPolicy = "keep"
    on_error: OnError = "skip"
    format: _Word | None = None
    encoding: _Word | None = None
    delimiter: _Word | None = None
    sheet: _Word | None = None
    weight_unit: WeightUnit | None = None
    media_base_url: WebAddress | None = None
    time_zone: TimeZone | None = None
    guard_percent: GuardPercent | None = None
    reindex: bool = False

    @field_validator("group")
    @classmethod
    def _is_known(cls, group: str) -> str:
        if group not in GROUPS:
            raise ValueError(f"'{group}' cannot be imported; there are {', '.join(GROUPS)}")
        return group


class DropFolder(Shape):
    """A shop's folder, by its place below the installation's, and its rules: the first that matches a file is its."""

    shop: str
    path: str
    rules: list[DropRule]


class ListDropFolders(Query[Page[DropFolder]]):
    """The drop folders of your shops, by the shops' codes."""

    first: First = 50
    after: str | None = None


class SetDropFolder(Command[DropFolder]):
    """Set the rules of a shop's drop folder, in their order. Without rules nothing is taken.

    Raises shop_not_found, unknown_format, unknown_encoding, invalid_delimiter.
    """

    shop: _Word
    rules: Annotated[list[DropRule], Field(max_length=100)]
