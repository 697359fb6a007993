"""A story of payments in many callbacks of every provider, as a model: what is posted, and what must come of it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from deploy.callback_samples import Sample
from services.payments.gateways.base import Delivery
from shared import clock
from shared.contracts.payments.shapes import PaymentGateway
from tests.factories import gateways as g

# How far behind the first delivery of a callback its repeats come, at most, in callbacks: signatures grow stale.
_NEAR = 30


@dataclass(eq=False)
class Post:
    """One callback, delivered as often as the story has it; `ends` are the statuses it may come to.

    `attempts` counts how often it was sent, `accepted` how often that was answered as it should be.
    """

    sender: g.Sender
    kind: str
    ends: frozenset[str]
    id: str
    part: int = 0
    secret: str | None = None
    attempts: int = 0
    accepted: int = 0

    @property
    def is_forged(self) -> bool:
        return self.secret is not None

    @property
    def expected(self) -> int:
        """The answer of HTTP."""
        return 400 if self.is_forged else 200

    @cached_property
    def sample(self) -> Sample:
        """The same bytes at every delivery, signed when the first is sent."""
        return self.sender.say(self.kind, secret=self.secret, id=self.id, part=self.part, at=clock.now())

    @cached_property
    def name(self) -> tuple[str, str, bool]:
        """What tells its record from all others: the gateway, the event's id there, and whether it is genuine."""
        headers = {name.lower(): value for name, value in self.sample.headers.items()}
        (event,) = g.adapter_of(self.sender.provider).identify(Delivery(headers, self.sample.body, clock.now()))
        assert event.event_id is not None
        return str(self.sender.gateway.id), event.event_id, not self.is_forged


@dataclass
class Story:
    """Orders by the numbers they will have, and all callbacks about them in the order of posting."""

    numbers: Sequence[str]
    price: int
    posts: list[Post] = field(default_factory=list)
    late: list[Post] = field(default_factory=list)

    @property
    def callbacks(self) -> set[Post]:
        """Each callback once, however often it is delivered."""
        return {*self.posts, *self.late}

    @property
    def strays(self) -> set[Post]:
        """Those about orders that nobody places."""
        return {post for post in self.callbacks if post.ends == _FAILED}

    def ledger(self) -> dict[tuple[str, str], tuple[str, int, int]]:
        """What must be known of the payments in the end, by order and provider: state, captured, refunded."""
        found: dict[tuple[str, str], tuple[str, int, int]] = {}
        for number in self.numbers:
            told = [post for post in self.callbacks if post.sender.facts.order_number == number and not post.is_forged]
            refunded = sum(post.part for post in told if post.kind == "refunded")
            state = "partly_refunded" if refunded else "captured"
            found[number, told[0].sender.provider] = (state, self.price, refunded)
        return found


_DONE, _HARMLESS, _FORGED = frozenset({"processed", "ignored"}), frozenset({"ignored"}), frozenset({"invalid"})
_FAILED = frozenset({"failed"})


def tell(
    gateways: Sequence[PaymentGateway], numbers: Sequence[str], strays: Sequence[str], price: int, dice: random.Random
) -> Story:
    """A story of an order for each of `numbers`, and of payments for `strays`, which nobody will ever order.

    Each order is paid and given back in two parts at one of the gateways, told in any order. Some of it is told several
    times, some only when all else is over, and forgers claim that all went back.
    """
    story = Story(numbers, price)
    for place, number in enumerate(numbers):
        sender = g.sender(gateways[place % len(gateways)], number, amount=price, payment=f"pay_{number}")
        for post in _told(sender, number, price):
            (story.late if post.kind == "refunded" and dice.random() < 0.3 else story.posts).append(post)
        if dice.random() < 0.6:
            story.posts.append(_forged(sender, number, price))
    for place, number in enumerate(strays):
        sender = g.sender(gateways[place % len(gateways)], number, amount=price, payment=f"pay_{number}")
        story.posts.append(Post(sender, "captured", _FAILED, f"captured-{number}"))
    dice.shuffle(story.posts)
    for post in dice.sample(story.posts, len(story.posts) // 2):
        at = story.posts.index(post)
        for _ in range(dice.choice((1, 1, 2, 4))):
            story.posts.insert(at + dice.randrange(_NEAR), post)
    return story


def _told(sender: g.Sender, number: str, price: int) -> Iterator[Post]:
    """What the provider has to say of an order's payment."""
    said = (
        ("authorised", 0, _DONE),
        ("captured", 0, _DONE),
        ("refunded", price // 5, _DONE),
        ("refunded", price // 7, _DONE),
        ("unknown", 0, _HARMLESS),
    )
    for kind, part, ends in said:
        if kind not in _UNSAID.get(sender.provider, ()):
            yield Post(sender, kind, ends, f"{kind}{part}-{number}", part)


# Braintree numbers nothing, so that two of its tests in one second are one. Mollie only names what is not captured.
_UNSAID = {"braintree": ("authorised", "unknown"), "mollie": ("authorised", "refunded")}


def _forged(sender: g.Sender, number: str, price: int) -> Post:
    """A word that all went back, signed by somebody who does not know the secret."""
    kind = "captured" if sender.provider == "mollie" else "refunded"
    return Post(sender, kind, _FORGED, f"forged-{number}", price, g.other_secret_of(sender.provider))
