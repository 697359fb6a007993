"""What a new connection is made of: what the options say, and for what is missing, questions.

What each platform needs is in QUESTIONS; the system is who checks it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.connecting.asking import Asking
from shared.contracts.sync.shapes import ConnectionSettings

_OF_EVERY_PLATFORM = frozenset(ConnectionSettings.model_fields) - {"platform"}


class WrongOption(Exception):
    """An option that says nothing; the message says what it should look like."""


@dataclass(frozen=True)
class Question:
    """A setting or credential a platform can not do without, unless one of `instead` is given."""

    name: str
    words: str
    instead: tuple[str, ...] = ()
    is_secret: bool = False


QUESTIONS: Mapping[str, Sequence[Question]] = {
    "agent": (),
    "shopify": (
        Question("shop", "The shop's own address (name.myshopify.com)", ("url",)),
        Question("client_id", "Client ID of the app", ("access_token",), is_secret=True),
        Question("client_secret", "Secret of the app", ("access_token",), is_secret=True),
    ),
    "magento": (
        Question("url", "The shop's address (https://shop.example)"),
        Question("consumer_key", "Consumer Key of the integration", ("access_token",), is_secret=True),
        Question("consumer_secret", "Consumer Secret", ("access_token",), is_secret=True),
        Question("access_token", "Access Token", is_secret=True),
        Question("access_token_secret", "Access Token Secret", ("access_token",), is_secret=True),
    ),
    "prestashop": (
        Question("url", "The shop's address (https://shop.example)"),
        Question("key", "Key of the webservice", is_secret=True),
    ),
    "woocommerce": (
        Question("url", "The shop's address (https://shop.example)"),
        Question("consumer_key", "Consumer key (ck_…)", is_secret=True),
        Question("consumer_secret", "Consumer secret (cs_…)", is_secret=True),
    ),
    "files": (
        Question("folder", "Folder of the files, below the organization's own", ("address",)),
        Question("products.pattern", "What files of products are called (products*.csv)", ("products",)),
    ),
    "custom": (
        Question("url", "Base address of the server (https://shop.example/crossdock)"),
        Question("token", "Its token", is_secret=True),
    ),
}


@dataclass(frozen=True)
class Given:
    """What the options say of a connection. Pairs are `name=value`."""

    platform: str | None = None
    name: str | None = None
    shop: str | None = None
    settings: Sequence[str] = ()
    credentials: Sequence[str] = ()


def drafted(given: Given, shops: Sequence[str], asking: Asking) -> dict[str, Any]:
    """The body of `POST /v1/connections`. `shops` are codes to choose from. Raises WrongOption, Unanswered."""
    names = ", ".join(QUESTIONS)
    platform = given.platform or asking.text(f"Platform ({names})", "--platform")
    if platform not in QUESTIONS:
        raise WrongOption(f"There is no platform '{platform}'; there are {names}.")
    settings = settings_of(given.settings)
    credentials = {name: _secret(value) for name, value in map(_pair, given.credentials)}
    named = _names(settings["platform"]) | credentials.keys()
    for question in QUESTIONS[platform]:
        if named & {question.name, *question.instead}:
            continue
        if question.is_secret:
            credentials[question.name] = asking.secret(question.words, f"--credential {question.name}=…")
        else:
            answer = asking.text(question.words, f"--setting {question.name}=…")
            _put(settings["platform"], question.name, answer)
    shop = given.shop or asking.text("Code of the shop here", "--shop", shops[0] if len(shops) == 1 else None)
    name = given.name or asking.text("What it is to be called here", "--name", platform)
    return {"platform": platform, "name": name, "shop": shop, "settings": settings, "credentials": credentials}


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """`name=value` as a connection's settings: those of every platform by their names, all others the platform's.

    A value that is JSON is what it says, and any other is a text; a name with dots leads into a table. Raises
    WrongOption.
    """
    settings: dict[str, Any] = {"platform": {}}
    for name, text in map(_pair, pairs):
        target = settings if name.partition(".")[0] in _OF_EVERY_PLATFORM else settings["platform"]
        _put(target, name, _value(text))
    return settings


def places_of(pairs: Sequence[str]) -> dict[str, str]:
    """`place=centre`, of each. Raises WrongOption."""
    return dict(map(_pair, pairs))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (sign and name.strip() and value.strip()):
        raise WrongOption(f"'{name[:50]}' is no pair: write name=value.")
    return name.strip(), value.strip()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _secret(text: str) -> str:
    """`@FILE` is what stands in the file, so that no secret has to be on a command line. Raises WrongOption."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text().strip()
    except (OSError, UnicodeError) as error:
        raise WrongOption(f"The file of a credential can not be read: {error}.") from None


def _put(table: dict[str, Any], name: str, value: Any) -> None:
    first, *rest = name.split(".", 1)
    if not rest:
        table[first] = value
        return
    inner = table.setdefault(first, {})
    if not isinstance(inner, dict):
        raise WrongOption(f"'{first}' is given twice, as a value and as a table.")
    _put(inner, rest[0], value)


def _names(table: Mapping[str, Any], before: str = "") -> set[str]:
    """Every name in a table of tables, with dots, those of the tables themselves too."""
    found = set()
    for name, value in table.items():
        found.add(before + name)
        if isinstance(value, dict):
            found |= _names(value, f"{before}{name}.")
    return found
