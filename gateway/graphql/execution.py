"""Runs an operation: compiled where it can be, else with the ordinary executor."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from gateway.graphql.compiled import AskedBefore, Written, plan
from gateway.graphql.context import Context
from gateway.graphql.schema import Schema

ANY = frozenset({OperationType.QUERY, OperationType.MUTATION})


async def execute(
    schema: Schema,
    context: Context,
    query: str,
    name: str | None,
    variables: dict[str, Any] | None,
    allowed: Iterable[OperationType] = ANY,
) -> Written | ExecutionResult:
    """The result of an operation that is no subscription.

    Raises MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError.
    """
    compiled = plan(schema, query, name)
    if compiled is not None:
        asked = AskedBefore(context.ask.bus)
        written = await compiled.answer(replace(context.ask, bus=asked), variables)
        if written is not None:
            return written
        context = Context(replace(context.ask, bus=asked.again()), context.live)
    return await schema.execute(
        query,
        variable_values=variables,
        context_value=context,
        operation_name=name,
        allowed_operation_types=allowed,
    )
