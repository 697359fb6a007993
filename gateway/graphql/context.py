"""What the resolvers of one request share: who asks, how, and what was already fetched."""

from functools import cached_property

from strawberry.dataloader import DataLoader

from gateway.graphql.fields import Link
from gateway.graphql.loaders import Loaders
from gateway.live import LiveEvents
from shared.bus.ask import Asker
from shared.bus.envelope import Caller


class Context:
    """One GraphQL request."""

    def __init__(self, ask: Asker, live: LiveEvents | None = None) -> None:
        self.ask = ask
        # What can be followed as it happens: over a WebSocket alone.
        self.live = live

    @property
    def caller(self) -> Caller:
        """Who asks, with the rights of this moment."""
        return self.ask.caller

    def speak_as(self, ask: Asker) -> None:
        """Go on with the rights that somebody has now."""
        self.ask = ask
        self.__dict__.pop("_loaders", None)

    @cached_property
    def _loaders(self) -> Loaders:
        return Loaders(self.ask)

    def loader(self, link: Link) -> DataLoader[object, object]:
        return self._loaders.of(link)

    def idempotency_key(self, response_key: str, mutations: int) -> str | None:
        """The key of one mutation: the request's own, told apart by the field where there are several."""
        key = self.ask.idempotency_key
        return key if key is None or mutations == 1 else f"{key}/{response_key}"
