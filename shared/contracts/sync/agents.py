"""What agents ask and say: processes beside systems behind a firewall, which come out to fetch their work."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Base64Bytes

from shared.contracts.base import Command, Shape
from shared.security import SecretText


class AgentToken(Shape):
    """A token that was just made for a connection's agent: `Authorization: Bearer cda_…`. It is shown this once."""

    connection_id: UUID
    token: SecretText


class AgentWork(Shape):
    """A piece of work. It is given to another agent when it was neither answered nor prolonged for `lease_seconds`.

    What is in `asked`, and what is answered, is in the protocol of the platform `agent`.
    """

    id: UUID
    kind: Literal["hello", "page", "read", "write"]
    asked: dict[str, Any]
    lease_seconds: int


class OfferedWork(Shape):
    """What there is to do for an agent; `work` null: nothing at the moment."""

    connection_id: UUID
    work: AgentWork | None


class AgentReceipt(Shape):
    """What became of an agent's word: nobody waits for what is not wanted any more, and that is no fault."""

    is_wanted: bool


class IssueAgentToken(Command[AgentToken]):
    """Make a token for a connection's agent. It is shown this once, and the one before holds no longer.

    Refused: `connection_not_found` (404), `no_agent` (409).
    """

    connection_id: UUID


class TakeAgentWork(Command[OfferedWork]):
    """The next piece of work for an agent. Refused: `agent_not_known` (401)."""

    token: SecretText


class ProlongAgentWork(Command[AgentReceipt]):
    """An agent is still at a piece of work. Refused: `agent_not_known` (401), `work_not_found` (404)."""

    token: SecretText
    work_id: UUID


class AnswerAgentWork(Command[AgentReceipt]):
    """What came of a piece of work. Refused: `agent_not_known` (401), `work_not_found` (404)."""

    token: SecretText
    work_id: UUID
    result: Base64Bytes
