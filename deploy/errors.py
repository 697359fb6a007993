"""What can stand in the way of a start, by name. Every message is a sentence with what to do about it."""

from typing import ClassVar


class CannotStart(Exception):
    """A start that a person must help along. Its text is for that person; its `code` is stable."""

    code: ClassVar[str] = "cannot_start"


class BinariesMissing(CannotStart):
    code = "binaries_missing"


class ServerDidNotStart(CannotStart):
    code = "server_did_not_start"


class PostgresVersionMismatch(CannotStart):
    code = "postgres_version_mismatch"


class FolderInUse(CannotStart):
    code = "folder_in_use"


class FolderNotOurs(CannotStart):
    code = "folder_not_ours"


class FolderNotWritable(CannotStart):
    code = "folder_not_writable"


class NoUnprivilegedAccount(CannotStart):
    code = "no_unprivileged_account"


class PortBusy(CannotStart):
    code = "port_busy"


class HalfConfigured(CannotStart):
    code = "half_configured"


class DatabaseUnusable(CannotStart):
    code = "database_unusable"


class RedisUnusable(CannotStart):
    code = "redis_unusable"


class ProgramKeepsEnding(CannotStart):
    code = "program_keeps_ending"


class NotReadyInTime(CannotStart):
    code = "not_ready_in_time"


class MigrationFailed(CannotStart):
    code = "migration_failed"


class ProgramsDidNotLoad(CannotStart):
    code = "programs_did_not_load"
