"""Assembles the search service."""

from services.search import answers, listeners, tasks
from shared import platform_answers, retention
from shared.service import Service

service = Service("search", answers, listeners, tasks, platform_answers, retention)
