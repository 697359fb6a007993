"""Assembles the catalog service."""

from services.catalog import listeners, tasks
from services.catalog.answers import (
    attributes,
    categories,
    channel_content,
    drop_folders,
    exports,
    history,
    offers,
    prices,
    products,
    templates,
    tree,
    variants,
)
from services.catalog.use_cases.importing import IMPORTING
from shared import platform_answers, retention
from shared.imports.service import importing
from shared.service import Service

service = Service(
    "catalog",
    platform_answers,
    retention,
    products,
    variants,
    attributes,
    categories,
    tree,
    prices,
    channel_content,
    exports,
    offers,
    history,
    importing(IMPORTING),
    drop_folders,
    templates,
    listeners,
    tasks,
)
