"""Things fetched by their ids: all that one level of an answer needs travel in one message."""

from collections.abc import Callable, Hashable
from typing import Any

from strawberry.dataloader import DataLoader

from gateway.graphql.fields import Link
from gateway.graphql.types import value_of
from shared.bus.ask import Asker

# What a message with ids may carry at once.
_IDS_PER_MESSAGE = 200


class Loaders:
    """The loaders of one request, made as they are needed; each remembers what it has found."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}

    def of(self, link: Link) -> DataLoader[Any, Any]:
        """Links that ask the same message share a loader."""
        kind = (link.message, link.ids, link.key)
        if kind not in self._loaders:
            self._loaders[kind] = DataLoader(
                load_fn=self._load(link), max_batch_size=_IDS_PER_MESSAGE, cache_key_fn=str
            )
        return self._loaders[kind]

    def _load(self, link: Link) -> Callable[[list[Any]], Any]:
        async def load(ids: list[Any]) -> list[Any]:
            answer = await self._ask(link.message.model_validate({link.ids: ids}))
            # Ids out of ready-made JSON are texts.
            by_id = {str(value_of(found, link.key)): found for found in link.found(answer)}
            return [by_id.get(str(id_)) for id_ in ids]

        return load
