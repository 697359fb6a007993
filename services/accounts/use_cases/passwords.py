"""Passwords: how they are kept, checked and asked for again.

Argon2id with the second recommended option of RFC 9106 §4 (64 MiB, three passes), argon2-cffi's default. One check
costs some 50 ms of a core, so checks run in threads, few at a time, and never inside a transaction.
"""

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.accounts import people_repository as repository
from services.accounts.people_errors import WeakPassword, WrongPassword
from services.accounts.use_cases import attempts
from shared.contracts.accounts.people import Candidate, TakePasswordAttempt
from shared.errors import Overloaded
from shared.security import SecretText, new_secret
from shared.unit_of_work import UnitOfWork

T = TypeVar("T")

# NIST SP 800-63B §5.1.1.2: length is what counts, composition rules are not asked for.
SHORTEST = 12
# Each waits for the checks of those before it; a service that answers 64 messages at once must stay able to answer
# other ones, its own questions to itself included.
MOST_AT_ONCE = 16
_CHECKS_AT_ONCE = 2

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(max_workers=_CHECKS_AT_ONCE, thread_name_prefix="argon2")
_present = 0


@contextmanager
def admitted() -> Iterator[None]:
    """Room for one more of those that check passwords for people nobody knows yet. Raises Overloaded at once."""
    global _present
    if _present >= MOST_AT_ONCE:
        raise Overloaded("Too many people are signing in at this moment; try again.", retry_after_seconds=1)
    _present += 1
    try:
        yield
    finally:
        _present -= 1


async def hashed(password: SecretText) -> str:
    """What is kept of a password."""
    return await _in_thread(lambda: _hasher.hash(_text(password)))


async def is_right(password: SecretText, password_hash: str | None) -> bool:
    """Whether `password` is the one that was hashed. Without a hash: no, after the same time."""
    found = await _in_thread(lambda: _is_right(password_hash or _nobodys_hash(), password))
    return found and password_hash is not None


async def rehashed(password: SecretText, password_hash: str) -> str | None:
    """The right password hashed anew when the parameters have grown since, otherwise None."""
    return await hashed(password) if _hasher.check_needs_rehash(password_hash) else None


def check_strength(password: SecretText, *known: str) -> None:
    """Raises WeakPassword for one that is short, all one character, or something `known` about the person."""
    text = _text(password)
    if len(text) < SHORTEST:
        raise WeakPassword(f"A password has at least {SHORTEST} characters.")
    if len(set(text)) < 4:
        raise WeakPassword("A password needs more than a few different characters.")
    if text.casefold() in {word.casefold() for word in known}:
        raise WeakPassword("Choose a password that is not your name or e-mail address.")


async def verify(uow: UnitOfWork, user_id: UUID, password: SecretText) -> None:
    """Let a signed-in person prove who they are (to reveal a secret, to change a password).

    Call it before `uow` is opened: the attempt is counted in a transaction of its own and the check takes a while.
    Raises WrongPassword, TooManyAttempts, Overloaded.
    """
    with admitted():
        person = await uow.ask(TakePasswordAttempt(user_id=user_id))
        if not await is_right(password, None if person is None else person.password_hash.reveal()):
            raise WrongPassword("The password is wrong.")
    await attempts.forgive(uow, str(user_id), uow.caller.address)


async def take_attempt(uow: UnitOfWork, user_id: UUID) -> Candidate | None:
    """Count an attempt of somebody signed in, and find what is kept of the password. Raises TooManyAttempts."""
    await attempts.take(uow, str(user_id), uow.caller.address)
    user = await repository.get_user(uow, user_id)
    if not user.is_active or user.password_hash is None:
        return None
    return Candidate(
        organization_id=user.organization_id, user_id=user.id, password_hash=SecretText(user.password_hash)
    )


def _text(password: SecretText) -> str:
    """What is typed on another keyboard is the same password (NIST SP 800-63B §5.1.1.2)."""
    return unicodedata.normalize("NFKC", password.reveal())


def _is_right(password_hash: str, password: SecretText) -> bool:
    try:
        return _hasher.verify(password_hash, _text(password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(new_secret())


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
