"""Assembles the orders service."""

from services.orders import listeners, tasks
from services.orders.answers import aftercare, buying, checks, connections, handling, lists, parts, people
from services.orders.use_cases import customer_exports, order_exports
from services.orders.use_cases.importing import IMPORTING
from shared import platform_answers, retention
from shared.exported import exported
from shared.imports.service import importing
from shared.service import Service

service = Service(
    "orders",
    platform_answers,
    retention,
    buying,
    checks,
    handling,
    aftercare,
    lists,
    parts,
    people,
    connections,
    importing(IMPORTING),
    exported((customer_exports.EXPORTED, order_exports.EXPORTED)),
    listeners,
    tasks,
)
