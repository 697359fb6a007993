"""Assembles the inventory service."""

from services.inventory import listeners, tasks
from services.inventory.answers import (
    arrivals,
    carriers,
    centres,
    checks,
    kits,
    orders,
    picking,
    returns,
    shipments,
    sourcing,
    stock,
    stock_checks,
    suppliers,
)
from services.inventory.use_cases.importing import IMPORTING
from services.inventory.use_cases.supplier_exports import EXPORTED
from shared import platform_answers, retention
from shared.exported import exported
from shared.imports.service import importing
from shared.service import Service

service = Service(
    "inventory",
    platform_answers,
    retention,
    centres,
    checks,
    kits,
    sourcing,
    stock,
    stock_checks,
    orders,
    shipments,
    picking,
    returns,
    arrivals,
    carriers,
    suppliers,
    importing(IMPORTING),
    exported(EXPORTED),
    listeners,
    tasks,
)
