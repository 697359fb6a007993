"""Agents of systems behind a firewall."""

from services.sync.use_cases import agents
from shared.contracts.sync.agents import (
    AgentReceipt,
    AgentToken,
    AnswerAgentWork,
    IssueAgentToken,
    OfferedWork,
    ProlongAgentWork,
    TakeAgentWork,
)
from shared.service import answers
from shared.unit_of_work import UnitOfWork


@answers(IssueAgentToken, scope="sync:write")
async def issue_agent_token(message: IssueAgentToken, uow: UnitOfWork) -> AgentToken:
    return await agents.issue_token(uow, message.connection_id)


@answers(TakeAgentWork, public=True)
async def take_agent_work(message: TakeAgentWork, uow: UnitOfWork) -> OfferedWork:
    return await agents.take_work(uow, message.token)


@answers(ProlongAgentWork, public=True)
async def prolong_agent_work(message: ProlongAgentWork, uow: UnitOfWork) -> AgentReceipt:
    return await agents.prolong(uow, message.token, message.work_id)


@answers(AnswerAgentWork, public=True)
async def answer_agent_work(message: AnswerAgentWork, uow: UnitOfWork) -> AgentReceipt:
    return await agents.answer(uow, message.token, message.work_id, message.result)
