"""`crossdock migrate`. It imports no service: a database can be migrated while their programs are still loading."""

from pathlib import Path

from shared.migrations import running

SERVICES_FOLDER = Path(__file__).parent.parent / "services"


def services() -> tuple[str, ...]:
    """The names of the services that keep tables."""
    return tuple(sorted(folder.parent.name for folder in SERVICES_FOLDER.glob("*/migrations")))


def migrate(admin_url: str, app_password: str) -> None:
    """Bring the database to the present; also makes `crossdock_app`, the only role that serves."""
    running.migrate_blocking(admin_url, app_password, services(), SERVICES_FOLDER)
