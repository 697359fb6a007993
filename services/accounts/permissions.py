"""What each role may do: the one list (ACC-7).

Scopes are the same words that API clients carry; permissions are a person's rights beyond them.
"""

from dataclasses import dataclass
from typing import Final

from shared.contracts.accounts.people import Role

AREAS: Final = ("accounts", "catalog", "inventory", "orders", "payments", "sync", "search")

REVEAL_SECRETS: Final = "clients:reveal"
MANAGE_PEOPLE: Final = "users:invite"
MANAGE_OWNERS: Final = "owners:change"
ACCEPT_CALLBACKS: Final = "callbacks:accept"


@dataclass(frozen=True)
class Grant:
    scopes: frozenset[str]
    permissions: frozenset[str] = frozenset()
    may_be_limited_to_shops: bool = False


ROLES: Final[dict[Role, Grant]] = {
    "owner": Grant(frozenset({"admin"}), frozenset({REVEAL_SECRETS, MANAGE_PEOPLE, MANAGE_OWNERS, ACCEPT_CALLBACKS})),
    "admin": Grant(frozenset({"admin"}), frozenset({REVEAL_SECRETS, MANAGE_PEOPLE, ACCEPT_CALLBACKS})),
    "manager": Grant(
        frozenset({"accounts:read", *(f"{area}:write" for area in AREAS if area != "accounts")}),
        frozenset({ACCEPT_CALLBACKS}),
        may_be_limited_to_shops=True,
    ),
    "viewer": Grant(frozenset(f"{area}:read" for area in AREAS), may_be_limited_to_shops=True),
}

# What anybody needs at least who asks for something that is there for every area: jobs, alerts.
ANY_READ: Final = tuple(f"{area}:read" for area in AREAS)
