"""What the sync service is told from its environment."""

from datetime import timedelta
from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SyncSettings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")

    # For how long changes that were made or called off, and issues that are over, are kept.
    settled_retention: timedelta = Field(default=timedelta(days=90), validation_alias="CROSSDOCK_SYNC_RETENTION")
    # For how long webhooks are kept; a repeat after that only makes a feed look once more.
    webhook_retention: timedelta = Field(default=timedelta(days=30), validation_alias="CROSSDOCK_WEBHOOK_RETENTION")
    # For how long it is kept what a deleted connection had.
    snapshot_retention: timedelta = Field(default=timedelta(days=90), validation_alias="CROSSDOCK_SNAPSHOT_RETENTION")
    # So long whoever took something from a desk has it, unless he says that he is at it: then the next is given it.
    agent_lease: timedelta = Field(
        default=timedelta(seconds=30), ge=timedelta(seconds=1), validation_alias="CROSSDOCK_AGENT_LEASE"
    )


@cache
def sync_settings() -> SyncSettings:
    """The environment of this process, read once."""
    return SyncSettings()
