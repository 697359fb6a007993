"""Agents of systems behind a firewall: they fetch their work here, and bring what came of it."""

import asyncio
import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from gateway.identity import AGENT, InvalidToken
from gateway.request import Ask
from shared.bells import Bells
from shared.contracts.sync.agents import (
    AgentReceipt,
    AgentToken,
    AnswerAgentWork,
    IssueAgentToken,
    OfferedWork,
    ProlongAgentWork,
    TakeAgentWork,
)
from shared.security import SecretText

router = APIRouter(prefix="/v1", tags=["connections"])
_LONGEST_TOKEN = 200
LONGEST_WAIT_SECONDS = 25


def agent_token(request: Request) -> SecretText:
    """The token of an agent. Raises InvalidToken for a request without one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.startswith(AGENT) or len(value) > _LONGEST_TOKEN:
        raise InvalidToken("Send the token of the connection's agent as 'Authorization: Bearer cda_…'.")
    return SecretText(value)


Token = Annotated[SecretText, Depends(agent_token)]


@router.post("/connections/{connection_id}/agent-token")
async def issue_agent_token(connection_id: UUID, ask: Ask) -> AgentToken:
    """Make a token for the connection's agent, for the first time or in the place of the one before."""
    return await ask(IssueAgentToken(connection_id=connection_id))


@router.post("/agent/work")
async def take_agent_work(
    request: Request,
    token: Token,
    ask: Ask,
    wait_seconds: Annotated[
        int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="How long to wait where there is nothing to do.")
    ] = LONGEST_WAIT_SECONDS,
) -> OfferedWork:
    """The next piece of work for an agent, or none when there was none all the while."""
    bells: Bells = request.app.state.bells
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_seconds
    while True:
        offered = await ask(TakeAgentWork(token=token))
        left = until - loop.time()
        if offered.work is not None or left <= 0 or await request.is_disconnected():
            return offered
        await bells.wait(left, "work", str(offered.connection_id))
        if await request.is_disconnected():
            # Whoever has gone away takes no work with him.
            return OfferedWork(connection_id=offered.connection_id, work=None)


@router.post("/agent/work/{work_id}/lease")
async def prolong_agent_work(work_id: UUID, token: Token, ask: Ask) -> AgentReceipt:
    """The agent is still at it: the lease begins anew."""
    return await ask(ProlongAgentWork(token=token, work_id=work_id))


@router.post("/agent/work/{work_id}/result")
async def answer_agent_work(work_id: UUID, request: Request, token: Token, ask: Ask) -> AgentReceipt:
    """What came of a piece of work, in the words of the protocol. Once more, or late, it changes nothing."""
    result = base64.b64encode(await request.body())
    return await ask(AnswerAgentWork(token=token, work_id=work_id, result=result))
