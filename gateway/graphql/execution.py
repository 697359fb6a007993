"""Runs an operation: compiled where it can be, else with the ordinary executor."""

from dataclasses import replace
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType
from strawberry.types.execution import ExecutionResult

from gateway.graphql.compiled import AskedBefore, plan
from gateway.graphql.context import Context
from gateway.graphql.cost import MAX_COST, price
from gateway.graphql.documents import Document
from gateway.graphql.introspection import IntrospectedTooOften, introspects
from gateway.graphql.limits import OperationTooLarge
from gateway.graphql.schema import Schema
from gateway.graphql.written import Written
from shared.errors import Invalid


class UnknownOperation(Invalid):
    """The document has no operation of this name, or several and none was named."""


def chosen(document: Document, name: str | None) -> OperationDefinitionNode:
    """The operation that is meant. Raises GraphQLError."""
    operation = document.operation(name)
    if operation is not None:
        return operation
    is_unnamed = not name and len(document.operations) > 1
    error = UnknownOperation(
        "The document has several operations: say which with `operationName`."
        if is_unnamed
        else f"The document has no operation '{name or ''}'."
    )
    raise GraphQLError(error.detail, original_error=error)


async def execute(
    schema: Schema, document: Document, name: str | None, variables: dict[str, Any] | None, context: Context
) -> Written | ExecutionResult:
    """The result of an operation of `document` that is no subscription."""
    if document.errors:
        return Written(None, document.errors)
    cost = price(schema, document, name).of(variables)
    if cost > MAX_COST:
        sentence = f"The operation may cost {min(cost, 10**12)}; at most {MAX_COST} is answered: ask for fewer at once."
        return Written(None, [GraphQLError(sentence, original_error=OperationTooLarge(sentence))])
    if introspects(document, name):
        try:
            result = await schema.introspections.answer(
                document, name, lambda: _executed(schema, document, name, variables, context)
            )
        except IntrospectedTooOften as error:
            return Written(None, [GraphQLError(error.detail, original_error=error)])
    else:
        result = await _executed(schema, document, name, variables, context)
    result.extensions = {"cost": {"requested": cost, "limit": MAX_COST}}
    return result


async def _executed(
    schema: Schema, document: Document, name: str | None, variables: dict[str, Any] | None, context: Context
) -> Written | ExecutionResult:
    compiled = plan(schema, document, name)
    if compiled is not None:
        asked = AskedBefore(context.ask.bus)
        written = await compiled.answer(replace(context.ask, bus=asked), variables)
        if written is not None:
            return written
        context = Context(replace(context.ask, bus=asked.again()), context.live)
    return await schema.execute(document.text, variable_values=variables, context_value=context, operation_name=name)


def is_subscription(operation: OperationDefinitionNode) -> bool:
    return operation.operation is OperationType.SUBSCRIPTION
