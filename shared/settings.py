"""What a process is told from its environment, typed. Each service adds its own in `services/<name>/settings.py`."""

from datetime import timedelta
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One installation. Secrets come from the environment and are never logged."""

    model_config = SettingsConfigDict(extra="ignore")

    # Connects as `crossdock_app`, a role that may see nothing by itself.
    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    redis_url: SecretStr = Field(validation_alias="REDIS_URL")
    redis_prefix: str = Field(default="crossdock", validation_alias="CROSSDOCK_REDIS_PREFIX")
    # 32 bytes, urlsafe base64: seals every secret at rest.
    secret_key: SecretStr = Field(validation_alias="CROSSDOCK_SECRET_KEY")
    data: Path = Field(default=Path(".crossdock"), validation_alias="CROSSDOCK_DATA")
    # Any URL the object store library knows: file:///…, s3://bucket/prefix, gs://…, az://…
    blob_url: str | None = Field(default=None, validation_alias="CROSSDOCK_BLOB_URL")
    base_url: str = Field(default="http://127.0.0.1:8000", validation_alias="CROSSDOCK_BASE_URL")
    # None: mail is written to the folder `outbox` below the data folder.
    smtp_url: SecretStr | None = Field(default=None, validation_alias="CROSSDOCK_SMTP_URL")
    mail_from: str = Field(default="crossdock@localhost", validation_alias="CROSSDOCK_MAIL_FROM")
    database_connections: int = Field(default=16, validation_alias="CROSSDOCK_DATABASE_CONNECTIONS", ge=2, le=200)
    queue_bound: int = Field(default=1000, validation_alias="CROSSDOCK_QUEUE_BOUND", ge=1)
    # An import that would take away more than this share of what is there asks first; 100 never asks.
    import_guard_percent: int = Field(default=20, validation_alias="CROSSDOCK_IMPORT_GUARD_PERCENT", ge=0, le=100)
    # For how long files of imports and stock checks are kept, as they came and with their refused rows.
    file_retention: timedelta = Field(default=timedelta(days=90), validation_alias="CROSSDOCK_FILE_RETENTION")
    # For how long jobs and runs of feeds are kept after their end, with their logs.
    job_retention: timedelta = Field(default=timedelta(days=90), validation_alias="CROSSDOCK_JOB_RETENTION")
    # Whether files are also fetched from addresses inside this network; then anybody who imports can look around in it.
    fetch_private: bool = Field(default=False, validation_alias="CROSSDOCK_FETCH_PRIVATE")
    # Where shops have their drop folders; by default `drop` below the data folder.
    drop_folder: Path | None = Field(default=None, validation_alias="CROSSDOCK_DROP_FOLDER")
    # For how long nobody may have written to a dropped file before it is taken.
    drop_settle_seconds: int = Field(default=10, validation_alias="CROSSDOCK_DROP_SETTLE_SECONDS", ge=0)
    log_level: str = Field(default="INFO", validation_alias="CROSSDOCK_LOG_LEVEL")
    # host:port where a service or a worker tells its health and metrics; None: nowhere.
    health_address: str | None = Field(
        default=None, validation_alias="CROSSDOCK_HEALTH_ADDRESS", pattern=r"^[^:]+:[0-9]{1,5}$"
    )


@cache
def settings() -> Settings:
    """The environment of this process, read once."""
    return Settings()
