"""One message, answered: deadline, scope, transaction, idempotency and errors, in the same way for every service."""

import asyncio
from typing import Any

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from shared.bus.envelope import Envelope
from shared.bus.grouping import Groups
from shared.bus.idempotency import answer_bytes, answer_once, parsed_answer
from shared.bus.surroundings import Resident, Surroundings
from shared.contracts.base import Message
from shared.database import DatabaseUnavailable
from shared.errors import CrossdockError, DeadlineExceeded, InternalError, NotFound, ValidationFailed
from shared.service import Answer, Service
from shared.unit_of_work import ConcurrentChange

log = structlog.get_logger("crossdock.answering")


class UnknownMessage(NotFound):
    """No service answers this."""


async def answer(service: Service, surroundings: Surroundings, message: Message[Any], envelope: Envelope) -> Any:
    """Answer `message`, committing its effects before the answer leaves. Raises CrossdockError and nothing else."""
    registered = service.answers.get(message.wire_name)
    if registered is None:
        raise UnknownMessage(f"The service '{service.name}' does not answer '{message.wire_name}'.")
    _check_caller(registered, envelope)
    remaining = envelope.remaining_seconds
    if remaining <= 0:
        raise DeadlineExceeded("The request had expired before its turn came; nothing was done.")
    try:
        async with asyncio.timeout(remaining):
            if registered.most_together > 1:
                return await surroundings.resident(Groups).answer(service.name, registered, message, envelope)
            uow = surroundings.unit_of_work(service.name, envelope, across_tenants=registered.across_tenants)
            return await answer_once(registered.function, message, uow)
    except TimeoutError:
        # The commit may have been on its way.
        raise DeadlineExceeded(
            "The request took too long; ask again, for a change with the same Idempotency-Key.", retry_after_seconds=1
        ) from None
    except CrossdockError:
        raise
    except Exception as error:
        raise translated(error, message.wire_name, envelope.request_id) from error


def _check_caller(registered: Answer, envelope: Envelope) -> None:
    if registered.internal:
        if envelope.asking_service is None:
            raise UnknownMessage(f"'{registered.message.wire_name}' is not asked from outside.")
    elif registered.scopes:
        envelope.caller.require(*registered.scopes)


def translated(error: Exception, what: str, request_id: str) -> CrossdockError:
    """The named error behind a driver's; anything else is a defect: logged whole, told as `internal_error`."""
    original = getattr(error.orig, "__cause__", None) or error.orig if isinstance(error, DBAPIError) else error
    match original:
        case CrossdockError():
            return original
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
            return ConcurrentChange("Somebody else changed this at the same moment; send the request again.")
        case asyncpg.PostgresConnectionError() | asyncpg.CannotConnectNowError() | asyncpg.AdminShutdownError():
            return DatabaseUnavailable("PostgreSQL went away; send the request again with the same Idempotency-Key.")
        case asyncpg.IdleInTransactionSessionTimeoutError():
            # This process stood still in the middle of a transaction for so long that its locks were taken from it.
            return DatabaseUnavailable("PostgreSQL went away; send the request again with the same Idempotency-Key.")
        case asyncpg.InsufficientResourcesError() | asyncpg.ReadOnlySQLTransactionError():
            # Out of connections, memory or disk; or a standby that is about to become the primary.
            return DatabaseUnavailable("PostgreSQL takes no more at this moment; send the request again.")
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() | ConnectionError() | TimeoutError():
            return DatabaseUnavailable("PostgreSQL went away; send the request again with the same Idempotency-Key.")
        case asyncpg.CharacterNotInRepertoireError() | asyncpg.UntranslatableCharacterError():
            return ValidationFailed("The text contains a character that cannot be stored (NUL).")
        case asyncpg.NumericValueOutOfRangeError():
            return ValidationFailed("A number is larger than can be stored.")
    log.error("defect", what=what, request_id=request_id, exc_info=error)
    return InternalError(f"Something went wrong on our side; mention the request id {request_id}.")


__all__ = [
    "Resident",
    "Surroundings",
    "UnknownMessage",
    "answer",
    "answer_bytes",
    "parsed_answer",
    "translated",
]
