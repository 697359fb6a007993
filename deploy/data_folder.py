"""The folder of one running system: everything `crossdock up` keeps lies below it. One `up` at a time may use it."""

import base64
import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.errors import FolderInUse, FolderNotOurs, FolderNotWritable


@dataclass(frozen=True)
class Secrets:
    """What is drawn once and then stays with the data."""

    secret_key: str
    app_password: str

    @classmethod
    def draw(cls) -> Self:
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        return cls(secret_key=key, app_password=secrets.token_urlsafe(24))


class DataFolder:
    """An open data folder, locked for this process until `close`.

    Raises FolderInUse, FolderNotOurs, FolderNotWritable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_strangers()
            self._lock = lock_file(self.path / "lock")
            self.secrets = self._keep_secrets()
        except BlockingIOError as error:
            raise FolderInUse(
                f"Another `crossdock up` runs on {self.path}: stop that one first, or give this one a folder of its "
                "own with --data."
            ) from error
        except OSError as error:
            raise FolderNotWritable(
                f"The data folder {self.path} cannot be used ({error.strerror}: {error.filename}): choose another one "
                "with --data, or change its owner."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def credentials(self) -> Path:
        """Where the demo business leaves what clients need to sign in."""
        return self.path / "credentials.json"

    def close(self) -> None:
        """Let others use the folder."""
        os.close(self._lock)

    def _refuse_strangers(self) -> None:
        """A folder with other things in it is somebody's home or project, not a place for databases."""
        known = {"secrets.json", "secrets.json.partial", "lock", "logs", "postgres", "redis"}
        others = sorted({entry.name for entry in self.path.iterdir()} - known)
        if others and not (self.path / "secrets.json").exists():
            raise FolderNotOurs(
                f"The folder {self.path} holds other things ({', '.join(others[:3])}): name an empty or a new one with "
                "--data."
            )

    def _keep_secrets(self) -> Secrets:
        file = self.path / "secrets.json"
        if not file.exists():
            write_secret(file, json.dumps(vars(Secrets.draw()), indent=2) + "\n")
        return Secrets(**json.loads(file.read_text()))


def lock_file(path: Path) -> int:
    """Lock `path` until the returned descriptor is closed or the process ends. Raises BlockingIOError when it is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def write_secret(path: Path, text: str) -> None:
    """Write `text` whole or not at all, readable and writable to the owner only."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    partial.rename(path)
