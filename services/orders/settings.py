"""What orders is told from its environment."""

from datetime import timedelta
from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OrdersSettings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")

    # How long an order waits for its payment before it is cancelled.
    pay_window: timedelta = Field(default=timedelta(minutes=30), validation_alias="CROSSDOCK_PAY_WINDOW")
    # How long after it was placed an order waits at most while a payment of it is on its way or authorised.
    pay_extension: timedelta = Field(default=timedelta(days=1), validation_alias="CROSSDOCK_PAY_EXTENSION")
    quote_lifetime: timedelta = Field(default=timedelta(minutes=10), validation_alias="CROSSDOCK_QUOTE_LIFETIME")


@cache
def settings() -> OrdersSettings:
    """The environment of this process, read once."""
    return OrdersSettings()
