"""Messages, answers, scopes, routes, GraphQL fields, events and listeners hang together, and nothing is forgotten."""

import importlib
import inspect
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import shared.contracts
from deploy import topology
from gateway.app import PLAIN_ROUTES, create_app
from gateway.graphql.app import MODULES
from gateway.graphql.fields import Field, Link, Node
from gateway.openapi import api_routes, messages_of
from shared.contracts.base import Event, Message
from shared.messaging.subscriptions import SUBSCRIPTIONS
from shared.service import Answer, Service

SERVICES: tuple[Service, ...] = topology.named("all")

# Messages that are asked from outside and have no route, each with its reason.
WITHOUT_ROUTE: dict[str, str] = {}
# Messages that are asked from outside and have no GraphQL field, each with its reason.
WITHOUT_FIELD: dict[str, str] = {
    **dict.fromkeys(
        (
            "accounts.sign_in",
            "accounts.sign_out",
            "accounts.sign_out_everywhere",
            "accounts.list_sessions",
            "accounts.end_session",
            "accounts.change_password",
            "accounts.request_password_reset",
            "accounts.redeem_password_reset",
        ),
        "passwords and sessions have routes of their own, where guessing is counted and cookies are set",
    ),
    "catalog.change_prices_of_file": "its rows come as the body of a request; changePrices takes them as a list",
    "inventory.start_stock_check_of_file": "its file comes as the body of a request; startStockCheck takes a list",
    "payments.compare_settlement_file": "its file comes as the body of a request; GraphQL carries none",
    "sync.receive_webhook": "its bytes are signed by a platform, which speaks no GraphQL",
    **dict.fromkeys(
        ("sync.take_agent_work", "sync.prolong_agent_work", "sync.answer_agent_work"),
        "its sender is an agent with a token of its connection, whose protocol is HTTP",
    ),
    "platform.start_import": "its file comes as the body of a request; GraphQL carries none",
}
# Events that no service listens to: they are for outgoing webhooks alone.
PUBLIC_ONLY: frozenset[str] = frozenset({"inventory.stock_level_crossed"})

SCOPES = {f"{area}:{right}" for area in topology.SERVICES for right in ("read", "write")} | {
    "storefront",
    "offers:read",
    "admin",
    "installation",
}


def contract_classes(kind: type) -> Iterator[type]:
    for info in pkgutil.walk_packages(shared.contracts.__path__, "shared.contracts."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            is_own = inspect.isclass(value) and issubclass(value, kind) and value.__module__ == info.name
            if (
                is_own
                and "wire_name" in vars(value)
                and not name.startswith("_")
                and info.name != "shared.contracts.base"
            ):
                yield value


MESSAGES: dict[str, type[Message[Any]]] = {each.wire_name: each for each in contract_classes(Message)}  # type: ignore[attr-defined]
EVENTS: dict[str, type[Event]] = {each.wire_name: each for each in contract_classes(Event)}  # type: ignore[attr-defined]
ANSWERS: dict[str, Answer] = {name: each for service in SERVICES for name, each in service.answers.items()}


def none(names: Iterable[str], what: str) -> None:
    """Fail with every name, not with the first few."""
    assert not (found := sorted(names)), f"{what}: {', '.join(found)}"


def outside() -> list[str]:
    """The messages that clients may ask."""
    return sorted(name for name, answer in ANSWERS.items() if not answer.internal)


def test_every_message_is_answered_by_the_service_it_belongs_to() -> None:
    none(MESSAGES.keys() - ANSWERS.keys(), "nobody answers")
    none(ANSWERS.keys() - MESSAGES.keys(), "answered, and not in the contracts")
    for service in SERVICES:
        for name, answer in service.answers.items():
            assert answer.message.service in (service.name, "platform"), name


@pytest.mark.feature("GAT-3")
def test_every_scope_is_one_of_the_list_and_fits_its_service() -> None:
    unknown = {name: answer.scopes for name, answer in ANSWERS.items() if not set(answer.scopes) <= SCOPES}
    assert unknown == {}
    reading = {
        name: answer.scopes
        for name, answer in ANSWERS.items()
        if answer.message.is_command and any(scope.endswith(":read") for scope in answer.scopes)
    }
    # A command for whoever may read: each is named, because it is odd.
    assert set(reading) <= {
        "accounts.acknowledge_alert",
        "accounts.cancel_job",
        "catalog.start_export",
        "orders.start_order_export",
    }


@pytest.mark.feature("GAT-1")
def test_every_message_from_outside_has_a_route() -> None:
    app = create_app(None)  # type: ignore[arg-type]
    routed = {message.wire_name for route in api_routes(app) for message in messages_of(route)}
    routed |= {route.message.wire_name for route in PLAIN_ROUTES}
    none(set(outside()) - routed - WITHOUT_ROUTE.keys(), "without a route")
    none(WITHOUT_ROUTE.keys() & routed | WITHOUT_ROUTE.keys() - set(outside()), "no exceptions any more")


@pytest.mark.feature("GAT-2")
def test_every_message_from_outside_has_a_graphql_field() -> None:
    fields = {
        declared.message.wire_name
        for module in MODULES
        for declared in module.FIELDS
        if isinstance(declared, Field | Node | Link)
    }
    none(set(outside()) - fields - WITHOUT_FIELD.keys(), "without a GraphQL field")
    none(WITHOUT_FIELD.keys() & fields | WITHOUT_FIELD.keys() - set(outside()), "no exceptions any more")


@pytest.mark.feature("GAT-2")
def test_commands_are_mutations_and_questions_are_not() -> None:
    for module in MODULES:
        for declared in module.FIELDS:
            if isinstance(declared, Field):
                assert (declared.kind == "mutation") is declared.message.is_command, declared.name


@pytest.mark.feature("GAT-1")
def test_no_door_opens_what_services_ask_each_other() -> None:
    """A client would be refused what is internal, so a route to it is a mistake. OAuth asks in the gateway's name."""
    app = create_app(None)  # type: ignore[arg-type]
    routes = [route for route in api_routes(app) if route.path.startswith("/v1/")]
    asked = {message.wire_name for route in routes for message in messages_of(route)}
    asked |= {declared.message.wire_name for module in MODULES for declared in module.FIELDS}
    internal = {name for name, answer in ANSWERS.items() if answer.internal}
    none(asked & internal, "open, and internal")


def test_every_message_from_outside_is_described_for_a_customer() -> None:
    none((name for name in outside() if not MESSAGES[name].__doc__), "without a docstring")
    inner = re.compile(r"\binternal\b", re.IGNORECASE)
    none(
        (name for name in outside() if inner.search(MESSAGES[name].__doc__ or "")),
        "called internal, and asked from outside",
    )


def test_every_subscription_has_exactly_one_listener() -> None:
    listening = Counter((name, service.name) for service in SERVICES for name in service.listeners)
    subscribed = {(event.wire_name, service) for event, services in SUBSCRIPTIONS.items() for service in services}
    none(map(" by ".join, subscribed - set(listening)), "subscribed, and not listened to")
    none(map(" by ".join, set(listening) - subscribed), "listened to, and not subscribed")


def test_no_event_is_announced_to_nobody() -> None:
    heard = {event.wire_name for event, services in SUBSCRIPTIONS.items() if services}
    none(EVENTS.keys() - heard - PUBLIC_ONLY, "announced to nobody")
    none(PUBLIC_ONLY & heard, "no exceptions any more")


def test_events_and_messages_have_names_of_their_own() -> None:
    names = Counter(
        [each.wire_name for each in contract_classes(Event)] + [each.wire_name for each in contract_classes(Message)]
    )  # type: ignore[attr-defined]
    none((name for name, count in names.items() if count > 1), "twice")
