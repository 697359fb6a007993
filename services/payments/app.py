"""Assembles the payments service. The callbacks' own entry, `intake.py`, is mounted by the deployment."""

from services.payments import answers, listeners, tasks
from shared import platform_answers, retention
from shared.service import Service

service = Service("payments", answers, listeners, tasks, platform_answers, retention)
