"""Assembles the schema from every service's module. Add yours here."""

from functools import cache
from types import ModuleType

from gateway.graphql import (
    accounts,
    catalog,
    channel_content,
    customers,
    exports,
    fulfilment,
    imports,
    inventory,
    lists,
    order_connections,
    orders,
    payments,
    people,
    platform,
    search,
    sourcing,
    stock_checks,
    supplying,
    sync,
)
from gateway.graphql.schema import Schema, build
from gateway.graphql.streams import STREAMS

# One module of `gateway.graphql` per service, each with its FIELDS.
MODULES: tuple[ModuleType, ...] = (
    platform,
    accounts,
    catalog,
    channel_content,
    exports,
    inventory,
    fulfilment,
    stock_checks,
    supplying,
    sourcing,
    orders,
    order_connections,
    customers,
    payments,
    people,
    lists,
    imports,
    search,
    sync,
)


@cache
def schema() -> Schema:
    """The schema of this process, built once."""
    return build((module.FIELDS for module in MODULES), STREAMS)
