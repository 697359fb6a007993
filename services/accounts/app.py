"""Assembles the accounts service."""

from services.accounts import listeners, tasks
from services.accounts.answers import clients, lists, organizations, people, shops, tokens
from shared import platform_answers, retention
from shared.service import Service

service = Service(
    "accounts", platform_answers, retention, organizations, shops, clients, tokens, people, lists, listeners, tasks
)
