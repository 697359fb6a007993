"""Organizations and their shops."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Uuid
from sqlmodel import Field

from services.accounts.errors import OrganizationDoesNothing, VersionChanged
from services.accounts.models.base import Base, document, instant
from shared.contracts.accounts.shapes import Organization, PostalAddress, Shop


class Versioned(Base):
    """A thing that counts its changes, so that nobody overwrites what they have not seen (If-Match)."""

    version: int = 1

    def check_version(self, expected: int | None) -> None:
        """Raises VersionChanged; None expects nothing."""
        if expected is not None and expected != self.version:
            raise VersionChanged(f"It has version {self.version} now, not {expected}; read it again.")

    def take(self, values: Mapping[str, Any]) -> None:
        """Set these fields and count the change. Shapes are kept as JSON."""
        for name, value in values.items():
            setattr(self, name, value.model_dump(mode="json") if isinstance(value, PostalAddress) else value)
        self.touch()

    def touch(self) -> None:
        """Count a change of what is shown with it."""
        self.version += 1


class OrganizationRow(Versioned, table=True):
    """The tenant."""

    __tablename__: ClassVar[str] = "organizations"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    name: str
    is_merchant: bool
    is_supplier: bool
    address: dict[str, Any] | None = document(lambda: None)
    created_at: datetime = instant()

    def check_does_something(self) -> None:
        """Raises OrganizationDoesNothing."""
        if not (self.is_merchant or self.is_supplier):
            raise OrganizationDoesNothing("An organization is a merchant, a supplier, or both.")

    def shape(self) -> Organization:
        return Organization(id=self.organization_id, **self.model_dump(exclude={"organization_id"}))


class ShopRow(Versioned, table=True):
    """Where a merchant sells."""

    __tablename__: ClassVar[str] = "shops"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    code: str
    name: str
    currency: str
    locale: str
    time_zone: str
    parent_id: UUID | None = Field(default=None, sa_type=Uuid)
    strict_pricing: bool = False
    address: dict[str, Any] | None = document(lambda: None)
    storefront_url: str | None = None
    settings: dict[str, Any] = document(dict)
    created_at: datetime = instant()

    def shape(self) -> Shop:
        return Shop(**self.model_dump(exclude={"created_at"}))
