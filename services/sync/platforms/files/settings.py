"""What a connection by files is told: where they lie, what they are called, how they are read."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from services.sync.platforms.settings import checked_settings, is_address, says_more
from shared.contracts.base import Shape
from shared.contracts.sync.shapes import FeedKind
from shared.money import EXPONENTS

FileEntity = Literal["product", "stock", "order", "supplier", "supplier_link"]
FILE_ENTITIES: tuple[FileEntity, ...] = get_args(FileEntity)
# The setting of each.
_NAMES: dict[FileEntity, str] = {entity: entity if entity == "stock" else f"{entity}s" for entity in FILE_ENTITIES}
_READ_BY: dict[FileEntity, tuple[FeedKind, ...]] = {
    "product": ("import_products", "update_products", "import_images"),
    "stock": ("import_stock", "check_stock"),
    "order": ("import_orders", "update_orders"),
    "supplier": ("import_suppliers",),
    "supplier_link": ("import_supplier_links",),
}
SFTP_PORT = 22
_MOST_STEPS = 20


def _path(path: str) -> str:
    """A path that stays below where it begins. Raises ValueError."""
    steps = [step for step in path.split("/") if step]
    if len(steps) > _MOST_STEPS or any(step in (".", "..") for step in steps):
        raise ValueError("a path has no '.' and '..' in it, and is at most 20 folders deep")
    if "\\" in path or not path.isprintable():
        raise ValueError("a path has '/' between its folders, and no characters that can not be printed")
    return "/".join(steps)


def _pattern(pattern: str) -> str:
    if pattern.startswith(".") or "\\" in pattern or not pattern.isprintable():
        raise ValueError("a pattern is a file name with '*' and '?' in it, without a dot before it")
    return pattern


def _address(url: str) -> str:
    if not is_address(url, "https", "http", "sftp"):
        raise ValueError("give an address that begins with https://, http:// or sftp://")
    if says_more(url):
        raise ValueError("the address has no query, and no name or password in it: they have settings of their own")
    return url.rstrip("/")


Path = Annotated[str, Field(max_length=500), AfterValidator(_path)]


class FileRule(Shape):
    """Which files hold something, and how they are read.

    `pattern` is a name with `*` and `?`; of files at a web address it is the path of the one file. `holds`: `all`, so
    that the newest file says all that there is; or `changes`, so that each file adds to those before it, as files of
    orders do. `profile`, of files of products alone; by their headings where it is not said.
    """

    pattern: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]
    profile: Literal["crossdock", "shopify", "woocommerce", "magento", "supplier"] | None = None
    holds: Literal["all", "changes"] | None = None
    encoding: Annotated[str, Field(max_length=50)] | None = None
    delimiter: Annotated[str, Field(max_length=10)] | None = None


class FilesSettings(Shape):
    """Where the files lie: `folder` below the organization's own on this machine, or at `address`.

    `inbox` is where they lay what we read, `outbox` where we lay what they read; what was read is moved to `archive`,
    and a copy of what was laid stays in `sent`. A file is read when nobody has written to it for `settle_seconds`, or
    when a file of its name with `.done` behind it says that it is complete; with `needs_done` not without that one.
    A file of all that there is which is smaller than the one before by more than `most_shrink_percent` stops the feed.
    """

    folder: Path | None = None
    address: Annotated[str, Field(max_length=1000), AfterValidator(_address)] | None = None
    user: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f:]*$")] | None = None
    host_key: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    inbox: Path = "in"
    outbox: Path = "out"
    archive: Path = "archive"
    sent: Path = "sent"
    products: FileRule | None = None
    stock: FileRule | None = None
    orders: FileRule | None = None
    suppliers: FileRule | None = None
    supplier_links: FileRule | None = None
    currency: str = "EUR"
    location: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]*$")] = "main"
    product_format: Literal["crossdock", "shopify"] = "crossdock"
    settle_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    needs_done: bool = False
    most_shrink_percent: Annotated[int, Field(ge=0, le=100)] = 50
    page_size: Annotated[int, Field(ge=1, le=5000)] = 500

    @model_validator(mode="after")
    def _fits_together(self) -> "FilesSettings":
        if (self.folder is None) == (self.address is None):
            raise ValueError("say either 'folder' or 'address'")
        if self.currency not in EXPONENTS:
            raise ValueError(f"'{self.currency}' is not an ISO 4217 currency code")
        if self.is_sftp and not (self.user and self.host_key):
            raise ValueError("SFTP needs 'user' and 'host_key', the server's public key as known_hosts has it")
        if not self.is_web and len({self.inbox, self.outbox, self.archive, self.sent}) < 4:
            raise ValueError("'inbox', 'outbox', 'archive' and 'sent' are four folders")
        self._check_rules()
        return self

    def _check_rules(self) -> None:
        patterns = [rule.pattern.casefold() for _, rule in self.rules()]
        if len(set(patterns)) < len(patterns):
            raise ValueError("two kinds of files have the same pattern: which is which?")
        for entity, rule in self.rules():
            if rule.profile is not None and entity != "product":
                raise ValueError("only files of products have a profile")
            if not self.is_web and "/" in rule.pattern:
                raise ValueError("a pattern is of names alone: the folder is 'inbox'")
            if self.is_web and any(mark in rule.pattern for mark in "*?["):
                raise ValueError("at a web address files are named in full: nobody lists them there")

    def rules(self) -> Iterator[tuple[FileEntity, FileRule]]:
        """Each kind of files that there is."""
        for entity in FILE_ENTITIES:
            if (rule := self.rule(entity)) is not None:
                yield entity, rule

    def rule(self, entity: FileEntity) -> FileRule | None:
        found: FileRule | None = getattr(self, _NAMES[entity])
        return found

    def holds_all(self, entity: FileEntity) -> bool:
        """Whether one file says all that there is."""
        rule = self.rule(entity)
        said = None if rule is None else rule.holds
        return said == "all" if said is not None else entity != "order"

    @property
    def is_web(self) -> bool:
        return self.address is not None and not self.is_sftp

    @property
    def is_sftp(self) -> bool:
        return self.address is not None and self.address.startswith("sftp:")


_WRITTEN_BY: tuple[FeedKind, ...] = ("export_stock", "export_products", "confirm_shipments")


def unset_feeds(given: Mapping[str, Any]) -> dict[FeedKind, str]:
    """Of each feed that a connection does not have, why not: files of a kind that is not set up, or a place that is
    only read. `given` are settings that were checked.
    """
    unset: dict[FeedKind, str] = {
        kind: f"No files of this kind are set up: {name}."
        for entity, name in _NAMES.items()
        if given.get(name) is None
        for kind in _READ_BY[entity]
    }
    is_web = str(given.get("address") or "").startswith(("https:", "http:"))
    return unset | (dict.fromkeys(_WRITTEN_BY, "Nothing can be written to a web address.") if is_web else {})


def files_settings(given: Mapping[str, Any]) -> FilesSettings:
    """Raises InvalidConnectionSettings."""
    return checked_settings(FilesSettings, given)
