"""A business that exchanges files: it lays what it has into one folder, and takes what is laid into another.

It writes whole files of all products and of all stock, and a file for each order; it applies what it takes by the rules
of `shared/impex` (a column that is not there changes nothing, an empty cell empties). It answers nothing.
"""

import csv
import io
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.shop_server import plain

Item = dict[str, Any]
_TEXTS = {
    "title": "title",
    "description_html": "description",
    "brand": "brand",
    "product_type": "type",
    "status": "status",
    "seo_title": "seo title",
    "seo_description": "seo description",
}
_LISTS = {"tags": "tags", "options": "options", "categories": "categories"}
_OLD_NS = 1_700_000_000_000_000_000


@dataclass
class FilesShop:
    """The business, and the folder `folder` that the organization has on this machine, by default one of its own."""

    platform = "files"
    page_size: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    writes: list[RemoteWrite] = field(default_factory=list)
    # A product whose SKU is this is refused by whoever takes the files; nobody tells us.
    products: dict[str, tuple[Item, dict[str, Item]]] = field(default_factory=dict)
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    sent: dict[str, list[Item]] = field(default_factory=dict)
    folder: Path | None = None

    async def start(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="crossdock-files-"))
        self.folder = self.folder or self.root / "organization"
        self._place = self.folder / "webshop"
        (self._place / "in").mkdir(parents=True)
        self._orders = 0
        self.settings |= {
            "folder": "webshop",
            "products": {"pattern": "products*.csv", "profile": "crossdock"},
            "stock": {"pattern": "stock*.csv"},
            "orders": {"pattern": "orders*.csv"},
            "suppliers": {"pattern": "suppliers*.csv"},
            "supplier_links": {"pattern": "links*.csv"},
            "page_size": self.page_size,
            "most_shrink_percent": 100,
        }

    async def stop(self) -> None:
        shutil.rmtree(self.root)

    # --- what the tests do over there

    def lay(self, name: str, content: bytes, *, is_settled: bool = True) -> Path:
        """A file for us, complete or still being written to."""
        path = self._place / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if is_settled:
            # Not the same time twice, long ago.
            self._orders += 1
            os.utime(path, ns=(_OLD_NS + self._orders * 10**9,) * 2)
        return path

    def there(self, folder: str) -> list[str]:
        """The names of the files in a folder and the folders below, in order."""
        found = sorted((self._place / folder).rglob("*"))
        return [str(path.relative_to(self._place / folder)) for path in found if path.is_file()]

    def content(self, folder: str, name: str) -> list[dict[str, str]]:
        """The rows of a file that we laid."""
        text = (self._place / folder / name).read_bytes().decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def put_product(self, external_id: str, fields: Item, variants: dict[str, Item]) -> None:
        self.products[external_id] = (plain(fields), plain(variants))
        self._lay_products()

    def remove_product(self, external_id: str) -> None:
        del self.products[external_id]
        self._lay_products()

    def product(self, external_id: str) -> tuple[Item, dict[str, Item]]:
        return plain(self.products[external_id][0]), plain(self.products[external_id][1])

    def put_category(self, path: list[str]) -> None:
        """Products come with theirs."""

    def product_ids(self) -> list[str]:
        return list(self.products)

    def put_stock(self, sku: str, location: str, quantity: int) -> None:
        self.levels[sku, location] = quantity
        rows = [{"sku": sku, "location": location, "quantity": str(n)} for (sku, location), n in self.levels.items()]
        self.lay("stock.csv", table(rows))

    def stock(self, sku: str, location: str) -> int:
        return self.levels[sku, location]

    def put_order(self, order: Item) -> None:
        self.lay(f"orders-{self._orders + 1}.csv", table(self.order_rows(order)))

    def order_rows(self, order: Item) -> list[dict[str, str]]:
        """The rows of an order, one a line."""
        return [
            {
                "external_id": order["external_id"],
                "number": order["number"] or "",
                "status": order["status"],
                "is_paid": str(order["is_paid"]).lower(),
                "placed_at": order["placed_at"],
                "updated_at": order["updated_at"],
                "currency": order["total"]["currency"],
                "total": _major(order["total"]),
                "customer_email": order["customer"]["email"],
                "customer_name": order["customer"]["name"],
                **{
                    name: order["shipping_address"].get(name) or ""
                    for name in ("line1", "city", "postal_code", "country")
                },
                "sku": line["sku"],
                "title": line["title"] or "",
                "quantity": str(line["quantity"]),
                "unit_price": _major(line["unit_price"]),
            }
            for line in order["lines"]
        ]

    def shipments(self, order_external_id: str) -> list[Item]:
        return plain(self.sent.get(order_external_id, []))

    def _lay_products(self) -> None:
        rows = []
        for external_id, (fields, variants) in self.products.items():
            own = {"handle": external_id, **{heading: fields.get(name) or "" for name, heading in _TEXTS.items()}}
            own["tags"] = " | ".join(fields.get("tags") or [])
            options = list(fields.get("options") or [])
            own |= {f"option {n} name": name for n, name in enumerate(options, 1)}
            for variant in variants.values():
                rows.append(
                    own
                    | {f"option {n} value": variant["options"][name] for n, name in enumerate(options, 1)}
                    | {
                        "sku": variant["sku"],
                        "barcode": variant.get("barcode") or "",
                        "price": _major(variant.get("price")),
                        "list price": _major(variant.get("list_price")),
                    }
                )
        if rows:
            self.lay("products.csv", table(rows))
        else:
            (self._place / "in" / "products.csv").unlink(missing_ok=True)

    # --- what it does with our files

    def take_files(self) -> None:
        """Apply what was laid, in the order of the names, and put it away."""
        taken = self.root / "taken"
        taken.mkdir(exist_ok=True)
        for name in (name for name in self.there("out") if not name.endswith(".part")):
            kind = name.split("-")[1]
            {"products": self._take_products, "stock": self._take_stock, "shipment": self._take_shipment}[kind](name)
            (self._place / "out" / name).rename(taken / name)

    def _take_products(self, name: str) -> None:
        described: set[str] = set()
        for row in self.content("out", name):
            before = plain(self.products.get(row["handle"]))
            fields, variants = self.products.setdefault(row["handle"], ({}, {}))
            options = [row[f"option {n} name"] for n in (1, 2, 3) if row.get(f"option {n} name")]
            # What describes a product is in its first row.
            if row["handle"] not in described:
                described.add(row["handle"])
                fields.update({field: row[heading] for field, heading in _TEXTS.items() if heading in row})
                if "tags" in row:
                    fields["tags"] = [word for word in row["tags"].split(" | ") if word]
                if options:
                    fields["options"] = options
            if row.get("sku"):
                same = [each for each, variant in variants.items() if variant["sku"] == row["sku"]]
                variant = variants.setdefault(same[0] if same else row["sku"], {"sku": row["sku"], "options": {}})
                names = fields.get("options") or []
                if "option 1 value" in row:
                    variant["options"] = {each: row[f"option {n} value"] for n, each in enumerate(names, 1)}
                if "barcode" in row:
                    variant["barcode"] = row["barcode"]
                for field_name, heading in (("price", "price"), ("list_price", "list price")):
                    if heading in row:
                        variant[field_name] = _minor(row[heading])
            has_changed = before != plain((fields, variants))
            self.writes.append(RemoteWrite("products", row["handle"], row, has_changed))
        self._lay_products()

    def _take_stock(self, name: str) -> None:
        for row in self.content("out", name):
            key = row["sku"], row["location"]
            has_changed = self.levels.get(key) != int(row["quantity"])
            self.writes.append(RemoteWrite("stock", row["sku"], row, has_changed))
            self.put_stock(*key, int(row["quantity"]))

    def _take_shipment(self, name: str) -> None:
        rows = self.content("out", name)
        self.sent.setdefault(rows[0]["external_id"], []).append(
            {
                "lines": [(row["sku"], int(row["quantity"])) for row in rows],
                "carrier": rows[0]["carrier"],
                "tracking_numbers": rows[0]["tracking_numbers"].split(),
            }
        )


def table(rows: list[dict[str, str]]) -> bytes:
    """A CSV file of rows, with the headings of all of them."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, headings, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _major(price: Item | None) -> str:
    return "" if price is None else f"{price['amount'] // 100}.{price['amount'] % 100:02}"


def _minor(cell: str) -> Item | None:
    return {"amount": round(float(cell) * 100), "currency": "EUR"} if cell else None


_HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD = "test-password-of-the-sftp-server"


class _Door(asyncssh.SSHServer):
    """Takes one password."""

    def __init__(self, shop: "SftpShop") -> None:
        self._shop = shop

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return not self._shop.faults.expired and (username, password) == ("crossdock", PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "crossdock" and key in self._shop.client_keys


@dataclass
class SftpShop(FilesShop):
    """The same business behind an SFTP server. `client_keys` are those that may come in without the password."""

    client_keys: list[asyncssh.SSHKey] = field(default_factory=list)
    connections: int = 0

    async def start(self) -> None:
        await super().start()
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[_HOST_KEY],
            server_factory=self._door,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.folder).encode()),
        )
        del self.settings["folder"]
        self.settings |= {
            "address": f"sftp://127.0.0.1:{self._server.get_port()}/webshop",
            "user": "crossdock",
            "host_key": _HOST_KEY.export_public_key().decode().strip(),
            "settle_seconds": 0,
        }
        self.credentials["password"] = PASSWORD

    def _door(self) -> _Door:
        self.connections += 1
        return _Door(self)

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        await super().stop()
