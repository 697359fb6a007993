"""What all tables of accounts share: one metadata of their own, and how times and texts are kept."""

from typing import Any

from sqlalchemy import JSON, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from shared import clock


class Base(SQLModel):
    """A table of the schema `accounts`; the search path of the unit of work finds it."""

    metadata = MetaData()


def instant(*, optional: bool = False) -> Any:
    """A moment in UTC: now, or null while it has not come."""
    if optional:
        return Field(default=None, sa_type=DateTime(timezone=True))
    return Field(default_factory=clock.now, sa_type=DateTime(timezone=True))


def texts() -> Any:
    """A list of texts."""
    return Field(default_factory=list, sa_type=ARRAY(Text))


def document(default: Any) -> Any:
    """A JSON value. Replace it as a whole: a change inside it is not noticed."""
    return Field(default_factory=default, sa_type=JSON(none_as_null=True))
