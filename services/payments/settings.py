"""What the payments service is told from its environment."""

from datetime import timedelta
from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PaymentsSettings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")

    # How long a callback waits for its order (or a refund for its payment) before a person is asked.
    callback_wait: timedelta = Field(default=timedelta(hours=1), validation_alias="CROSSDOCK_CALLBACK_WAIT")
    # How long the bytes of invalid callbacks are kept; their identity and their attempts stay.
    invalid_retention: timedelta = Field(default=timedelta(days=30), validation_alias="CROSSDOCK_INVALID_RETENTION")
    # For how long the bytes of all others are kept; their identity and digest stay, so that repeats are known.
    # Differences that a later reconciliation found again are kept as long.
    callback_retention: timedelta = Field(default=timedelta(days=90), validation_alias="CROSSDOCK_CALLBACK_RETENTION")
    # Where the providers' APIs are, where that is not where they publish them: for tests, and for proxies of one's own.
    provider_apis: dict[str, str] = Field(default={}, validation_alias="CROSSDOCK_PROVIDER_APIS")


@cache
def payments_settings() -> PaymentsSettings:
    """The environment of this process, read once."""
    return PaymentsSettings()
