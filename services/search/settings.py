"""How this process reads and builds, from its environment."""

from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SearchSettings(BaseSettings):
    """Search in one process."""

    model_config = SettingsConfigDict(extra="ignore")

    # How often a reader looks whether the documents it follows went on.
    follow_seconds: float = Field(default=0.1, validation_alias="CROSSDOCK_SEARCH_FOLLOW_SECONDS", ge=0.01, le=10)
    # A shop's offers are built at once, then not again for so long: what changes meanwhile is built together.
    build_pause_seconds: float = Field(0.15, validation_alias="CROSSDOCK_SEARCH_BUILD_PAUSE_SECONDS", ge=0, le=5)
    # More bulk work than this is a load: built once no more came for a pause, but never left for longer than the wait.
    bulk_load: int = Field(default=5000, validation_alias="CROSSDOCK_SEARCH_BULK_LOAD", ge=0)
    bulk_pause_seconds: float = Field(1.0, validation_alias="CROSSDOCK_SEARCH_BULK_PAUSE_SECONDS", ge=0, le=10)
    bulk_wait_seconds: float = Field(120.0, validation_alias="CROSSDOCK_SEARCH_BULK_WAIT_SECONDS", ge=0, le=3600)
    # How many shops' indexes are open at once in a process, and how long one stays open that nobody asks for.
    readers: int = Field(default=200, validation_alias="CROSSDOCK_SEARCH_READERS", ge=1)
    reader_idle_seconds: float = Field(default=3600, validation_alias="CROSSDOCK_SEARCH_READER_IDLE_SECONDS", gt=0)
    # Ready answers kept per shop and process, together, until the shop's index goes on.
    answers_bytes: int = Field(default=16 * 1024 * 1024, validation_alias="CROSSDOCK_SEARCH_ANSWERS_BYTES", ge=0)


@cache
def search_settings() -> SearchSettings:
    """The environment of this process, read once."""
    return SearchSettings()
