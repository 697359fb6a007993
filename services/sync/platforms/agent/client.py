"""What is asked of an agent over its connection's desk: within the budget, and by the time that its system has."""

from collections.abc import Sequence
from typing import Any

from services.sync.errors import AnswerLost, AnswerNotUnderstood, CredentialsRefused, PlatformAway, PlatformRefused
from services.sync.platforms.agent import mapping
from services.sync.platforms.base import Account
from services.sync.platforms.desk import Work, WorkKind
from services.sync.platforms.http import Http, how_far_ahead
from shared.errors import CrossdockError

# As long as nothing is said of how long it wants to be left alone.
_REST_SECONDS = 5
_LOST = "An agent took it, and nobody knows what came of it."


class Client:
    """One account. Methods raise PlatformAway, CredentialsRefused, PlatformRefused, AnswerNotUnderstood."""

    def __init__(self, account: Account, http: Http) -> None:
        if account.desk is None:
            raise PlatformRefused("There is no desk for the connection's agent.")
        self._desk, self._http = account.desk, http

    async def ask(self, kind: WorkKind, asked: dict[str, Any]) -> bytes:
        """The answer to one piece of work, in the words of the custom protocol."""
        (answer,) = await self._asked([Work(kind, asked)])
        if isinstance(answer, CrossdockError):
            raise answer
        return answer

    async def write(self, asked: Sequence[dict[str, Any]], *, one_by_one: bool = False) -> list[bytes | CrossdockError]:
        """What came of each write: its result, or why there is none.

        Raises when none of them was done; of those that come `one_by_one` only when the agent is not let in.
        """
        answers = await self._asked([Work("write", each) for each in asked])
        for_all = CredentialsRefused if one_by_one else PlatformAway | CredentialsRefused
        if all(isinstance(each, for_all) for each in answers):
            for error in answers:
                if not isinstance(error, AnswerLost) and isinstance(error, CrossdockError):
                    raise error
        return answers

    async def _asked(self, work: Sequence[Work]) -> list[bytes | CrossdockError]:
        await self._http.budget.take(len(work), self._http.is_held)
        answers = [_read(body) for body in await self._desk.ask(work)]
        for found in answers:
            if isinstance(found, mapping.Result):
                self._http.ahead = how_far_ahead(found.now, self._http.ahead)
        read = [found if isinstance(found, CrossdockError) else _answer(found) for found in answers]
        await self._mind_budget(read)
        return read

    async def _mind_budget(self, answers: Sequence[bytes | CrossdockError]) -> None:
        """Who wants to be left alone for a while is."""
        waits = [each.retry_after_seconds or _REST_SECONDS for each in answers if type(each) is PlatformAway]
        if waits:
            await self._http.budget.rest(max(waits))


def _read(body: bytes | None) -> mapping.Result | CrossdockError:
    if body is None:
        return AnswerLost(_LOST)
    try:
        return mapping.result(body)
    except AnswerNotUnderstood as error:
        return error


def _answer(found: mapping.Result) -> bytes | CrossdockError:
    return mapping.failure(found) or bytes(found.answer)
