"""What feeds there are and whose a field is: the rules of sync, without a table or a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.sync.shapes import (
    Colour,
    ConnectionSettings,
    Direction,
    Entity,
    ExecutionState,
    FeedKind,
    FieldRule,
)

# --- feeds


@dataclass(frozen=True, slots=True)
class FeedRule:
    """What a feed does. `scanned` is the kind of record it reads first, `entities` all that come with them.

    `cron` is when it runs unless somebody says otherwise; None: only when asked.
    """

    direction: Direction
    scanned: Entity | None
    entities: tuple[Entity, ...]
    cron: str | None


FEEDS: dict[FeedKind, FeedRule] = {
    "import_products": FeedRule("in", "product", ("product", "variant"), "*/15 * * * *"),
    "update_products": FeedRule("in", "product", ("product", "variant"), "5-59/15 * * * *"),
    "import_images": FeedRule("in", "product", ("product", "variant"), "10 * * * *"),
    "import_orders": FeedRule("in", "order", ("order",), "*/5 * * * *"),
    "update_orders": FeedRule("in", "order", ("order",), "2-59/5 * * * *"),
    "import_stock": FeedRule("in", "stock", ("stock",), None),
    "import_suppliers": FeedRule("in", "supplier", ("supplier",), "30 2 * * *"),
    "import_supplier_links": FeedRule("in", "supplier_link", ("supplier_link",), "45 2 * * *"),
    "export_stock": FeedRule("out", None, ("stock",), "* * * * *"),
    "check_stock": FeedRule("in", "stock", ("stock",), "0 3 * * *"),
    "confirm_shipments": FeedRule("out", None, ("order",), "*/2 * * * *"),
    "export_products": FeedRule("out", None, ("product", "variant"), "*/5 * * * *"),
}


def same_records(kind: FeedKind) -> list[FeedKind]:
    """The feeds that read or write the same records in the same direction: of these, one runs at a time."""
    rule = FEEDS[kind]
    return [
        name for name, other in FEEDS.items() if (other.direction, other.entities) == (rule.direction, rule.entities)
    ]


def execution_state(job: str, counters: Mapping[str, int], *, is_paused: bool) -> ExecutionState:
    """What an execution is, from its job."""
    if job == "running":
        return "paused" if is_paused else "running"
    if job == "succeeded":
        return "partial" if counters.get("failed") else "succeeded"
    return job  # type: ignore[return-value]


# --- orders


def orders_from(settings: ConnectionSettings, created_at: datetime) -> datetime:
    """Since when orders of a connection that was made at `created_at` are taken; those placed before are left alone."""
    return settings.orders_from or created_at


# --- changes

_COLOURS: dict[str, Colour] = {"insert": "green", "update": "yellow", "delete": "red"}


def colour_of(kind: str, state: str) -> Colour:
    """The colour of a change; one that is over has none."""
    return "neutral" if state in ("applied", "cancelled") else _COLOURS[kind]


# --- fields

# Until somebody says otherwise a platform's products are its own: nothing of a page is written before that was decided.
_REMOTE = FieldRule(policy="remote")
_RULES: dict[str, FieldRule] = {
    "stock.quantity": FieldRule(policy="ours"),
    "handle": FieldRule(policy="create_only"),
}


def rule_name(entity: str, field: str) -> str:
    """What settings call a field of a record."""
    return field if entity == "product" else f"{entity}.{field}"


def rule_of(settings: ConnectionSettings, entity: str, field: str) -> FieldRule:
    """Whose a field of a record is."""
    name = rule_name(entity, field)
    return settings.fields.get(name) or _RULES.get(name, _REMOTE)


def is_empty(value: Any) -> bool:
    """Whether a field says nothing."""
    return value is None or value in ("", [], {})
