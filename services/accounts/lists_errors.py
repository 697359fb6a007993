"""What can go wrong around the lists of all services, by name."""

from shared.errors import NotFound


class JobNotFound(NotFound):
    """There is no such job, or it is not the caller's to see."""


class AlertNotFound(NotFound):
    """There is no such alert, or it is not the caller's to see."""
