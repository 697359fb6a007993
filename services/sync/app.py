"""Assembles the sync service."""

from services.sync import listeners, tasks
from services.sync.answers import agents, connections, feeds, records
from shared import platform_answers, retention
from shared.service import Service

service = Service("sync", agents, connections, feeds, records, listeners, tasks, platform_answers, retention)
