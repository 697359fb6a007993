"""The webservice of a fake PrestaShop shop: who may do what, rows and records, writes, pictures."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes import prestashop_rows
from tests.fakes.platforms import Faults, RemoteWrite
from tests.fakes.prestashop_answers import Refused, answer_json, answer_xml, errors, node, record, shown
from tests.fakes.prestashop_reading import listed
from tests.fakes.prestashop_rows import LANGUAGES, Row
from tests.fakes.prestashop_state import Memory
from tests.fakes.prestashop_writing import changed, elements, made
from tests.fakes.shop_server import Manners, ShopServer

KEY = "TESTKEYTESTKEYTESTKEYTESTKEY1234"
VERBS = ("get", "put", "post", "patch", "delete", "head")
_CRASH = Response("", 500, media_type="text/html; charset=utf-8")


@dataclass
class Asked:
    """A request that came: for tests of what is sent."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes


@dataclass
class Webservice:
    """The webservice. What it can be told beside `faults`:

    `version`: 1.7 knows no PATCH. `forbidden`: rights that the key lacks, as `PATCH products`. `notices`: PHP's, beside
    the rows of so many lists. `mails`: whether letters can be sent. `loses_after`: after so many requests the answer to
    the next one is lost.
    """

    page_size: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=lambda: {"key": KEY})
    faults: Faults = field(default_factory=Faults)
    writes: list[RemoteWrite] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    version: str = "8.2.1"
    forbidden: set[str] = field(default_factory=set)
    notices: int = 0
    mails: bool = True
    loses_after: int | None = None

    def __post_init__(self) -> None:
        self.requests: list[Asked] = []
        manners = Manners(away=lambda: Response("Back soon", 503), expired=self._refused_key)
        self._server = ShopServer(lambda: self.faults, manners)

    async def start(self, port: int = 0) -> None:
        routes = [
            Route("/api/", self._answer),
            Route("/api/images/products/{product}", self._images, methods=["GET", "POST"]),
            Route("/api/images/products/{product}/{image}", self._image, methods=["GET", "DELETE"]),
            Route("/api/{resource}", self._answer, methods=["GET", "POST", "PUT", "PATCH"]),
            Route("/api/{resource}/{id}", self._answer, methods=["GET", "PUT", "PATCH"]),
            Route("/img/p/{digits:path}", self._picture),
            Route("/pictures/{name}", self._elsewhere),
        ]
        self.settings["url"] = await self._server.start(Starlette(routes=routes), port)
        self.settings["page_size"] = self.page_size

    async def stop(self) -> None:
        await self._server.stop()

    def add_picture(self, product_id: str, content: bytes) -> int:
        """A picture of a product. Its id."""
        image_id = self.memory.last_ids.get("images", 0) + 1
        self.memory.last_ids["images"] = image_id
        row = self.memory.tables["products"][int(product_id)]
        row["images"].append({"id": str(image_id)})
        row["id_default_image"] = row["id_default_image"] or str(image_id)
        # The shop makes a file of its own of it: the same picture in other bytes.
        self.memory.pictures[image_id] = content + hashlib.sha256(content).digest()[:4]
        return image_id

    # --- asked

    async def _answer(self, request: Request) -> Response:
        query = dict(request.query_params)
        body = await request.body()
        self._note(Asked(request.method, request.url.path, query, body))
        as_json = query.get("output_format") == "JSON"
        try:
            self._recognize(request)
            resource = request.path_params.get("resource")
            if resource is None:
                return self._root()
            if resource not in prestashop_rows.resources():
                raise Refused(400, 27, f'Resource of type "{resource}" does not exists.')
            self._may(request.method, resource)
            if request.method == "GET":
                return self._read(resource, request.path_params.get("id"), query, as_json=as_json)
            return self._write(request.method, resource, query, body)
        except Refused as refused:
            return errors(refused.status, [(refused.code, refused.message)], self.version, as_json=as_json)

    def _note(self, asked: Asked) -> None:
        self.requests.append(asked)
        if len(self.requests) == self.loses_after:
            self.faults.lost = 1

    def _recognize(self, request: Request) -> None:
        wanted = base64.b64encode(f"{KEY}:".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            raise Refused(401, 20, "Authentification key is not active")

    def _refused_key(self) -> Response:
        told = [(20, "Authentification key is not active"), (21, "No permission for this authentication key")]
        return errors(401, told, "0", as_json=True)

    def _may(self, method: str, resource: str) -> None:
        if method == "PATCH" and self.version.startswith("1."):
            raise Refused(405, 23, "Method PATCH is not valid")
        if method == "POST" and resource == "stock_availables":
            raise Refused(405, 101, "Method POST is not allowed for the resource stock_availables")
        if f"GET {resource}" in self.forbidden:
            raise Refused(401, 26, f'Resource of type "{resource}" is not allowed with this authentication key')
        if f"{method} {resource}" in self.forbidden:
            message = f"Method {method} is not allowed for the resource {resource} with this authentication key"
            raise Refused(405, 25, message)

    def _root(self) -> Response:
        verbs = [verb for verb in VERBS if verb != "patch" or not self.version.startswith("1.")]
        lines = []
        for name in [*prestashop_rows.resources(), "images"]:
            if f"GET {name}" not in self.forbidden:
                rights = {verb: "false" if f"{verb.upper()} {name}" in self.forbidden else "true" for verb in verbs}
                said = " ".join(f'{verb}="{right}"' for verb, right in rights.items())
                lines.append(f"<{name} {said}></{name}>")
        return answer_xml(f'<api shopName="Quay shop">\n{"".join(lines)}\n</api>', 200, self.version)

    def _read(self, resource: str, external_id: str | None, query: Mapping[str, str], *, as_json: bool) -> Response:
        if external_id is not None:
            row = self.memory.tables[resource].get(int(external_id))
            if row is None:
                return Response("", 404, {"psws-version": self.version})
            if as_json:
                one = {
                    name: value for name, value in shown(resource, row, None, None).items() if value not in ("", "0")
                }
                return answer_json({node(resource): one}, 200, self.version)
            return answer_xml(record(resource, row), 200, self.version)
        rows = listed(self.memory, resource, query)
        if not as_json:
            inner = "\n".join(f'<{node(resource)} id="{row["id"]}"/>' for row in rows)
            return answer_xml(f"<{resource}>\n{inner}\n</{resource}>", 200, self.version)
        if self.notices and rows:
            self.notices -= 1
            notice = {"code": 5, "message": "[PHP Notice #8] Undefined index: x (/shop/classes/Product.php, line 1)"}
            return answer_json({resource: rows, "errors": [notice]}, 500, self.version)
        return answer_json({resource: rows} if rows else [], 200, self.version)

    # --- told

    def _write(self, method: str, resource: str, query: Mapping[str, str], body: bytes) -> Response:
        try:
            found = elements(body, resource)
            if resource == "order_histories" and not self._is_known(found):
                return _CRASH
            rows = [self._written(method, resource, element) for element in found]
        except Refused:
            self.writes.append(RemoteWrite(resource, None, body, has_changed=False, is_refused=True))
            raise
        if resource == "order_histories" and query.get("sendemail") == "1":
            if not self.mails:
                raise Refused(500, 46, "Unable to save resource")
            self.memory.mails += [int(row["id_order"]) for row in rows]
        inner = "\n".join(record(resource, row) for row in rows)
        return answer_xml(inner, 201 if method == "POST" else 200, self.version)

    def _is_known(self, found: list[Any]) -> bool:
        tables = self.memory.tables
        return all(
            int(each.findtext("id_order") or 0) in tables["orders"]
            and int(each.findtext("id_order_state") or 0) in tables["order_states"]
            for each in found
        )

    def _written(self, method: str, resource: str, element: Any) -> Row:
        memory, is_new = self.memory, method == "POST"
        row, is_other = (
            (made(memory, resource, element), True) if is_new else changed(memory, resource, method, element)
        )
        if resource == "products":
            memory.after_product(row, is_new=is_new)
        elif resource == "combinations":
            memory.after_combination(row, is_new=is_new)
        elif resource == "stock_availables":
            memory.after_level(row)
        elif resource == "order_histories":
            memory.after_history(row)
        elif resource == "order_carriers":
            memory.after_carrier(row)
        self.writes.append(RemoteWrite(resource, str(row["id"]), element, is_other))
        return row

    # --- pictures

    async def _images(self, request: Request) -> Response:
        body = await request.body()
        self._note(Asked(request.method, request.url.path, dict(request.query_params), body))
        product_id = request.path_params["product"]
        row = self.memory.tables["products"].get(int(product_id))
        if request.method == "GET":
            if row is None or not row["images"]:
                return Response("", 404, {"psws-version": self.version})
            lines = "".join(f'<declination id="{each["id"]}"/>' for each in row["images"])
            return answer_xml(f'<image id="{row["images"][0]["id"]}">{lines}</image>', 200, self.version)
        if row is None:
            return errors(400, [(76, f"Product {product_id} does not exist")], self.version, as_json=False)
        content = await _uploaded(request)
        if content is None:
            message = 'Please set an "image" parameter with image data for value'
            return errors(400, [(76, message)], self.version, as_json=False)
        image_id = self.add_picture(product_id, content)
        self.writes.append(RemoteWrite("images", product_id, len(content), True))
        position = len(row["images"])
        legend = "".join(f'<language id="{each}"><![CDATA[]]></language>' for each in LANGUAGES)
        inner = (
            f"<image>\n<id><![CDATA[{image_id}]]></id>\n<id_product><![CDATA[{product_id}]]></id_product>\n"
            f"<position><![CDATA[{position}]]></position>\n<cover><![CDATA[{1 if position == 1 else ''}]]></cover>\n"
            f'<legend>{legend}</legend>\n</image>\n<content encode="base64"><![CDATA[]]></content>'
        )
        return answer_xml(inner, 200, self.version)

    async def _image(self, request: Request) -> Response:
        self._note(Asked(request.method, request.url.path, dict(request.query_params), b""))
        image_id, product_id = int(request.path_params["image"]), request.path_params["product"]
        row = self.memory.tables["products"].get(int(product_id))
        if row is None or str(image_id) not in {each["id"] for each in row["images"]}:
            return errors(400, [(57, "This image id does not exist")], self.version, as_json=False)
        if request.method == "GET":
            return Response(self.memory.pictures[image_id], 200, {"psws-version": self.version}, "image/png")
        if "DELETE images" in self.forbidden:
            message = "Method DELETE is not allowed for the resource images with this authentication key"
            return errors(405, [(25, message)], self.version, as_json=False)
        row["images"] = [each for each in row["images"] if each["id"] != str(image_id)]
        self.writes.append(RemoteWrite("images", product_id, image_id, True))
        return Response("", 200, {"psws-version": self.version})

    async def _picture(self, request: Request) -> Response:
        """A picture as everybody may fetch it."""
        name = request.url.path.rpartition("/")[2].removesuffix(".jpg")
        content = self.memory.pictures.get(int(name))
        return Response("", 404) if content is None else Response(content, media_type="image/jpeg")

    async def _elsewhere(self, request: Request) -> Response:
        """A picture of ours, which lies somewhere else: as wide as its name is long."""
        return Response(png(len(request.path_params["name"]), 64), media_type="image/png")


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG, which is what is looked at."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02"


async def _uploaded(request: Request) -> bytes | None:
    """The bytes under the name `image` in a form."""
    body = await request.body()
    boundary = request.headers.get("content-type", "").partition("boundary=")[2].encode()
    for part in body.split(b"--" + boundary) if boundary else ():
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="image"' in head:
            return content.removesuffix(b"\r\n")
    return None
