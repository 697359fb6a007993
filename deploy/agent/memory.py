"""What was written by which operation key: a small database beside the files, which lets one writer in at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".crossdock-agent.sqlite"
_PATIENCE_SECONDS = 20.0


class Memory:
    """The keys of what was done in a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises sqlite3.Error."""
        self._path = folder / NAME
        with self._connected() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, id TEXT NOT NULL)")

    @contextmanager
    def alone(self) -> Iterator["Alone"]:
        """Nobody else writes meanwhile, in no process. What was noted is kept when the block ends well."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield Alone(connection)
            if connection.in_transaction:
                connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()


class Alone:
    """The memory in one writer's hands."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def id_of(self, key: str) -> str | None:
        """What an earlier try has made by this key."""
        row = self._connection.execute("SELECT id FROM done WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, key: str, external_id: str) -> None:
        """Kept with the end of the block."""
        self._connection.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", (key, external_id))

    def keep(self) -> None:
        """Keep at once what was noted, and go on alone."""
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
