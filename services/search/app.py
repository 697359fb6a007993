"""Assembles the search service."""

from services.search import answers, listeners, tasks
from shared import platform_answers
from shared.service import Service

service = Service("search", answers, listeners, tasks, platform_answers)
