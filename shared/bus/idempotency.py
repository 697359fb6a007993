"""A command takes effect once per key: the key, what it was used for, and the answer are a row in the effect's own
transaction. A repeat is answered from it for as long as it is kept (`shared/messaging/sweeping.py`).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from shared.bus.envelope import Envelope
from shared.contracts.base import Message
from shared.errors import IdempotencyKeyReused, Invalid
from shared.security import SEALED
from shared.unit_of_work import ConcurrentChange, UnitOfWork

# Whose key, and the key.
ClientKey = tuple[UUID, str]


class InvalidIdempotencyKey(Invalid):
    """An Idempotency-Key is 1 to 255 visible characters."""


class _AnsweredBefore(Exception):
    """The idempotency key has its answer already."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer


def client_key(message: Message[Any], envelope: Envelope) -> ClientKey | None:
    """A key belongs to a client of an organization; nobody's keys are not kept. Raises InvalidIdempotencyKey."""
    caller, key = envelope.caller, envelope.idempotency_key
    if key is None or not message.is_command or caller.organization_id is None or caller.id is None:
        return None
    if not (0 < len(key) <= 255 and key.isprintable()):
        raise InvalidIdempotencyKey("An Idempotency-Key is 1 to 255 visible characters.")
    return caller.id, key


async def answer_once(
    function: Callable[[Any, UnitOfWork], Awaitable[Any]], message: Message[Any], uow: UnitOfWork
) -> Any:
    """Answer one message and commit. A concurrent twin waits for the first one's commit, and then finds its answer.

    Raises IdempotencyKeyReused, ConcurrentChange, and whatever the function raises; then nothing has happened.
    """
    key = client_key(message, uow.envelope)
    if key is not None:
        uow.when_opened(_claim(message, key))
    try:
        result = await function(message, uow)
        if key is not None and uow.is_open:
            await _remember(uow, message, key, result)
        await uow.commit()
    except _AnsweredBefore as before:
        await uow.rollback()
        return parsed_answer(type(message), before.answer)
    except BaseException:
        await uow.rollback()
        raise
    return result


def _claim(message: Message[Any], key: ClientKey) -> Callable[[UnitOfWork], Awaitable[None]]:
    request_hash = _request_hash(message)

    async def claim(uow: UnitOfWork) -> None:
        arguments = (uow.organization_id, *key)
        claimed = await uow.fetchval(
            "INSERT INTO idempotency (organization_id, client_id, key, request_hash) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING true",
            *arguments,
            request_hash,
        )
        if claimed:
            return
        row = await uow.fetchrow(
            "SELECT request_hash, answer FROM idempotency WHERE organization_id = $1 AND client_id = $2 AND key = $3",
            *arguments,
        )
        if row is None:
            raise ConcurrentChange("A request with the same Idempotency-Key was just undone; send it again.")
        if row["request_hash"] != request_hash:
            raise IdempotencyKeyReused("This Idempotency-Key was used for a different request; choose a new one.")
        raise _AnsweredBefore(row["answer"])

    return claim


def _request_hash(message: Message[Any]) -> bytes:
    return hashlib.sha256(f"{message.wire_name}\n{message.model_dump_json(context=SEALED)}".encode()).digest()


async def _remember(uow: UnitOfWork, message: Message[Any], key: ClientKey, result: Any) -> None:
    await uow.execute(
        "UPDATE idempotency SET answer = $4 WHERE organization_id = $1 AND client_id = $2 AND key = $3",
        uow.organization_id,
        *key,
        answer_bytes(type(message), result),
    )


async def find_known(uow: UnitOfWork, keys: Sequence[ClientKey]) -> set[ClientKey]:
    """Which of these keys have their answer already."""
    rows = await uow.fetch(_FIND_KNOWN, *map(list, zip(*keys, strict=True)))
    return {(row["client_id"], row["key"]) for row in rows}


# One by one, through the index: as a whole it reads all keys of the tenant while statistics are behind.
_FIND_KNOWN = """
SELECT k.client_id, k.key FROM unnest($1::uuid[], $2::text[]) AS k (client_id, key) CROSS JOIN LATERAL (
    SELECT FROM idempotency i WHERE (i.client_id, i.key) = (k.client_id, k.key) OFFSET 0) known
"""


async def claim_answered(uow: UnitOfWork, answered: Sequence[tuple[ClientKey, Message[Any], Any]]) -> bool:
    """Claim the keys of commands that are done, and remember their answers, in one statement.

    Waits for twins that have a key in hand. False: one of them was faster, and all that was done here is to be undone.
    """
    # In one order, so that two groups wait for each other in one direction alone.
    ordered = sorted(answered, key=lambda row: row[0])
    claimed = await uow.fetchval(
        "WITH claimed AS ("
        " INSERT INTO idempotency (organization_id, client_id, key, request_hash, answer)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::bytea[], $5::bytea[])"
        " ON CONFLICT DO NOTHING RETURNING true"
        ") SELECT count(*) FROM claimed",
        uow.organization_id,
        [client_id for (client_id, _), _, _ in ordered],
        [key for (_, key), _, _ in ordered],
        [_request_hash(message) for _, message, _ in ordered],
        [answer_bytes(type(message), result) for _, message, result in ordered],
    )
    return bool(claimed == len(ordered))


def answer_bytes(message: type[Message[Any]], result: Any) -> bytes:
    """An answer as JSON with its secrets sealed; bytes are JSON already."""
    return result if isinstance(result, bytes) else message.answer_type().dump_json(result, context=SEALED)


def parsed_answer(message: type[Message[Any]], answer: bytes) -> Any:
    """The answer a service gave as JSON, as what the message promises."""
    return answer if message.answers_bytes() else message.answer_type().validate_json(answer, context=SEALED)
