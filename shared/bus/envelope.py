"""What travels around every message: who asks, until when, under which request."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec

from shared import clock
from shared.errors import Forbidden, MissingScope, NotFound, Unauthenticated
from shared.identifiers import new_id

CallerKind = Literal["client", "user", "service", "anonymous"]


class ShopNotFound(NotFound):
    """No such shop, or it is not one the caller may see."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks: an organization's client, person or service, with what it may do."""

    kind: CallerKind = "anonymous"
    organization_id: UUID | None = None
    id: UUID | None = None
    name: str = ""
    scopes: frozenset[str] = frozenset()
    # None: every shop of the organization. Otherwise these alone, sub-shops already included.
    shop_ids: frozenset[UUID] | None = None
    permissions: frozenset[str] = frozenset()
    address: str | None = None

    def holds(self, *scopes: str) -> bool:
        """Whether any of `scopes` is held; `admin` holds all of them, and `x:write` holds `x:read`."""
        return any(
            scope in self.scopes
            or "admin" in self.scopes
            or (scope.endswith(":read") and f"{scope.removesuffix(':read')}:write" in self.scopes)
            for scope in scopes
        )

    def require(self, *scopes: str) -> None:
        """Raises Unauthenticated for nobody, MissingScope for somebody who holds none of `scopes`."""
        if self.kind == "anonymous":
            raise Unauthenticated("This needs an access token or an API key.")
        if not self.holds(*scopes):
            raise MissingScope(
                f"This needs the scope {' or '.join(repr(scope) for scope in scopes)}.",
                [{"code": MissingScope.code, "scope": scope} for scope in scopes],
            )

    def require_permission(self, permission: str) -> None:
        """A person's right beyond a scope (reveal a secret, accept a callback). Raises Forbidden."""
        if permission not in self.permissions:
            raise Forbidden(f"Your role does not include the permission '{permission}'.")

    @property
    def shop_limit(self) -> list[UUID] | None:
        """The shops that it is confined to, as queries and messages take them; None: every shop."""
        return None if self.shop_ids is None else sorted(self.shop_ids)

    def sees_shop(self, shop_id: UUID) -> bool:
        return self.shop_ids is None or shop_id in self.shop_ids

    def require_shop(self, shop_id: UUID) -> None:
        """Raises ShopNotFound: a shop outside the caller's limit does not exist for it."""
        if not self.sees_shop(shop_id):
            raise ShopNotFound("There is no such shop.")


ANONYMOUS = Caller()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One call's surroundings. `deadline` is seconds since the epoch, by the asker's clock."""

    request_id: str
    caller: Caller
    deadline: float
    idempotency_key: str | None = None
    traceparent: str | None = None
    # The service that asks; None at the gateway. Internal messages are answered to services alone.
    asking_service: str | None = None

    @property
    def remaining_seconds(self) -> float:
        return self.deadline - clock.now().timestamp()

    def from_service(self, service: str, timeout_seconds: float | None = None) -> "Envelope":
        """The same caller's next question, asked by `service`; it never outlives the first."""
        deadline = self.deadline
        if timeout_seconds is not None:
            deadline = min(deadline, clock.now().timestamp() + timeout_seconds)
        return msgspec.structs.replace(self, asking_service=service, idempotency_key=None, deadline=deadline)


def envelope_for(
    caller: Caller,
    *,
    timeout_seconds: float = 10.0,
    request_id: str | None = None,
    idempotency_key: str | None = None,
    traceparent: str | None = None,
    asking_service: str | None = None,
) -> Envelope:
    """An envelope that expires `timeout_seconds` from now."""
    return Envelope(
        request_id=request_id or new_id().hex,
        caller=caller,
        deadline=(clock.now() + timedelta(seconds=timeout_seconds)).timestamp(),
        idempotency_key=idempotency_key,
        traceparent=traceparent,
        asking_service=asking_service,
    )


def service_envelope(service: str, organization_id: UUID | None, *, timeout_seconds: float = 30.0) -> Envelope:
    """The envelope of background work: a service acting for an organization, or for none."""
    caller = Caller(kind="service", organization_id=organization_id, name=service, scopes=frozenset({"admin"}))
    return envelope_for(caller, timeout_seconds=timeout_seconds, asking_service=service)
