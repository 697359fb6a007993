"""Users and their sessions."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import TIMESTAMP, Text, Uuid
from sqlmodel import Field

from services.accounts import permissions
from services.accounts.models.base import Base
from services.accounts.people_errors import LimitNeedsRole, PersonIsWithdrawn
from shared import clock
from shared.contracts.accounts.people import Role, Session, User, UserState

_TIME: Any = TIMESTAMP(timezone=True)


class UserRow(Base, table=True):
    """A person in one organization. Somebody who works for two is two rows with two passwords."""

    __tablename__: ClassVar[str] = "users"

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    email: str
    name: str
    role: Role = Field(sa_type=Text)
    state: UserState = Field(sa_type=Text)
    is_limited_to_shops: bool = False
    password_hash: str | None = None
    created_at: datetime = Field(default_factory=clock.now, sa_type=_TIME)
    last_signed_in_at: datetime | None = Field(default=None, sa_type=_TIME)

    @property
    def grant(self) -> permissions.Grant:
        return permissions.ROLES[self.role]

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def is_active_owner(self) -> bool:
        """Whether the organization can be governed by this person."""
        return self.role == "owner" and self.state == "active"

    def limit_to_shops(self, is_limited: bool) -> None:
        """Raises LimitNeedsRole."""
        self.is_limited_to_shops = is_limited
        self.check_limit()

    def check_limit(self) -> None:
        if self.is_limited_to_shops and not self.grant.may_be_limited_to_shops:
            raise LimitNeedsRole("Only managers and viewers can be limited to shops; shop_ids null lifts the limit.")

    def set_password(self, password_hash: str) -> None:
        """Whoever has set a password is in. Raises PersonIsWithdrawn."""
        if self.state == "withdrawn":
            raise PersonIsWithdrawn("This person's access was withdrawn.")
        self.password_hash = password_hash
        self.state = "active"

    def withdraw(self) -> None:
        self.state = "withdrawn"

    def restore(self) -> None:
        """Back to what they were: somebody with a password, or somebody who was invited."""
        self.state = "invited" if self.password_hash is None else "active"

    def shape(self, shop_ids: list[UUID] | None) -> User:
        return User(
            id=self.id,
            email=self.email,
            name=self.name,
            role=self.role,
            state=self.state,
            shop_ids=shop_ids if self.is_limited_to_shops else None,
            created_at=self.created_at,
            last_signed_in_at=self.last_signed_in_at,
        )

    def audited(self) -> dict[str, Any]:
        """What the audit log shows of a person before and after a change."""
        return {
            "email": self.email,
            "name": self.name,
            "role": self.role,
            "state": self.state,
            "is_limited_to_shops": self.is_limited_to_shops,
        }


class SessionRow(Base, table=True):
    """One sign-in. The row outlives the session: from where somebody signed in before is remembered for a while."""

    __tablename__: ClassVar[str] = "sessions"

    LONGEST: ClassVar[timedelta] = timedelta(days=7)
    LONGEST_IDLE: ClassVar[timedelta] = timedelta(hours=8)

    organization_id: UUID = Field(primary_key=True, sa_type=Uuid)
    id: UUID = Field(primary_key=True, sa_type=Uuid)
    user_id: UUID = Field(sa_type=Uuid)
    digest: bytes
    created_at: datetime = Field(sa_type=_TIME)
    last_seen_at: datetime = Field(sa_type=_TIME)
    expires_at: datetime = Field(sa_type=_TIME)
    ended_at: datetime | None = Field(default=None, sa_type=_TIME)
    address: str | None = None
    user_agent: str | None = None

    @property
    def valid_until(self) -> datetime:
        """The end, if nothing is heard of it any more."""
        return min(self.expires_at, self.last_seen_at + self.LONGEST_IDLE)

    def is_open(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.valid_until

    def shape(self) -> Session:
        return Session(
            id=self.id,
            created_at=self.created_at,
            last_seen_at=self.last_seen_at,
            expires_at=self.valid_until,
            address=self.address,
            user_agent=self.user_agent,
        )


__all__ = ["SessionRow", "UserRow"]
