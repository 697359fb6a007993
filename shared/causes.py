"""Why a row is written: the request, file, connection or job behind it. The history of rows (history.py) keeps it."""

from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID

import msgspec
import orjson

from shared.contracts.platform.shapes import Actor
from shared.identifiers import new_id

if TYPE_CHECKING:
    from shared.bus.envelope import Envelope

CauseKind = Literal["request", "event", "job", "import", "undo", "connection", "snapshot"]

# Services whose tables are watched by the triggers of history.py: their transactions say why they write.
KEEPERS = frozenset({"catalog"})


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is that of the thing itself where it has one (an import, a job), so that its traces are found again."""

    kind: CauseKind
    id: UUID
    actor: Actor
    request_id: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(CauseKind):
            raise ValueError(f"'{self.kind}' is no kind of cause")

    def settings(self) -> str:
        """Statements that tell a transaction's triggers."""
        said = {
            "kind": self.kind,
            "actor": self.actor.model_dump(mode="json"),
            "request_id": self.request_id,
        }
        # SET takes no parameters. A quote is doubled; a backslash is only itself in a plain literal.
        literal = orjson.dumps(said).decode().replace("'", "''")
        return f"SET LOCAL crossdock.cause_id = '{self.id}'; SET LOCAL crossdock.cause = '{literal}'"


def of_envelope(envelope: "Envelope") -> Cause:
    """Nothing but that somebody asked: each transaction by itself."""
    caller = envelope.caller
    actor = Actor(kind=caller.kind, id=caller.id, name=caller.name, address=caller.address)
    kind: CauseKind = "event" if caller.kind == "service" else "request"
    return Cause(kind=kind, id=new_id(), actor=actor, request_id=envelope.request_id)
