"""A program that looks for bodies and headers which break an adapter, led by what code they reach (libFuzzer).

    python -m tests.services.payments.fuzzing PROVIDER CORPUS [options of libFuzzer]

CORPUS is a folder; samples of what the provider posts are laid there first. An input is a body and, each behind two NUL
bytes, values of the provider's headers. What breaks a promise of `gateways/base.py` ends the program with a code that
is not 0.
"""

import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["services.payments"]):
    from services.payments.errors import InvalidChallenge, Unusable
    from services.payments.gateways.base import Account, Content, Delivery
    from services.payments.gateways.registry import get_provider
    from services.payments.masking import shown_body

from deploy.callback_samples import KINDS, Facts, NoSuchSample, Signing, sample
from tests.factories import gateways as g

_APART = b"\0\0"
_AT = datetime(2026, 11, 30, tzinfo=UTC)
_URL = "https://shop.example/callbacks/1"


class Trial:
    """One provider's adapter, tried with any input."""

    def __init__(self, provider: str) -> None:
        self._adapter = get_provider(provider)
        self._settings = g.settings_of(provider)
        self._account = Account([g.secret_of(provider)], self._settings, False, _URL)
        self._headers = sorted({name.lower() for kind in KINDS for name in self._sample(kind)[1]})

    def _sample(self, kind: str) -> tuple[bytes, dict[str, str]]:
        """Signed by somebody else: nothing that is tried here may verify."""
        facts = Facts("ORDER-1", 1999, "USD", "pay_1", _AT, part=500, id="one")
        signing = Signing(g.other_secret_of(self._adapter.name), self._settings, _URL)
        try:
            found = sample(self._adapter.name, kind, facts, signing)
        except NoSuchSample:
            return b"", {}
        return found.body, found.headers

    def lay_down(self, corpus: Path) -> Path:
        """What the provider really posts, as the beginning of the search. Returns a dictionary of its words."""
        words: set[bytes] = set()
        for kind in KINDS:
            body, headers = self._sample(kind)
            values = [headers[name].encode() for name in sorted(headers, key=str.lower)]
            (corpus / kind).write_bytes(_APART.join([body, *values]))
            words.update(re.findall(rb"[A-Za-z_.-]{3,40}", body))
        dictionary = corpus.with_suffix(".words")
        dictionary.write_bytes(b"".join(b'"%s"\n' % word for word in sorted(words)))
        return dictionary

    def __call__(self, data: bytes) -> None:
        """Raises whatever breaks a promise."""
        body, *values = data.split(_APART)
        headers = {name: value.decode("latin-1") for name, value in zip(self._headers, values, strict=False)}
        delivery = Delivery(headers, body, _AT)
        verdict = self._adapter.verify(delivery, self._account)
        assert not verdict.is_genuine
        for event in self._adapter.identify(delivery):
            assert len(event.digest) == 32
            assert event.event_id is None or 0 < len(event.event_id) <= 255
        for fetched in (None, body):
            for part in (0, 3):
                self._read(Content(body, self._settings, part, fetched))
        shown_body(body, self._adapter.name)
        with suppress(InvalidChallenge):
            self._adapter.challenge({"bt_challenge": body[:40].decode("latin-1")}, self._account)

    def _read(self, content: Content) -> None:
        with suppress(Unusable):
            self._adapter.read(content)


def main() -> None:
    program, provider, corpus, *options = sys.argv
    trial = Trial(provider)
    words = trial.lay_down(Path(corpus))
    atheris.Setup([program, corpus, f"-dict={words}", *options], trial)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
