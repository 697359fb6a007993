"""What an operation came to."""

from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError


@dataclass
class Written:
    """What an operation came to, as the ordinary executor has it: `data` is None for one that was not run."""

    data: dict[str, Any] | orjson.Fragment | None
    errors: list[GraphQLError]
    extensions: dict[str, Any] | None = None
