"""Pictures of products: each uploaded once, known by the hash of its bytes, and taken away one at a time.

A file is named after the SHA-256 of its bytes, and Shopify keeps that name in the address it gives the picture. So what
is on a product, or anywhere in the shop's files, is recognised without having stored anything; and because a second
file of that name is refused (`RAISE_ERROR`), not even two at once upload one twice.
https://shopify.dev/docs/apps/build/online-store/product-media
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from services.sync.errors import PlatformAway, PlatformRefused
from services.sync.platforms.base import Written
from services.sync.platforms.http import checked
from services.sync.platforms.pictures import NAMED, Picture, fetch, kind_of, picture_of, source_hash
from services.sync.platforms.shopify import mapping, queries
from services.sync.platforms.shopify.client import Client, code, user_errors, words

JsonObject = dict[str, Any]

# Shopify takes pictures of 20 MB: https://help.shopify.com/manual/products/product-media/product-media-types
MOST_BYTES = 20 << 20
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 3.0
PATIENCE_SECONDS = 20.0


class Images:
    """Pictures of one shop's products."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, product_id: str, wanted: Sequence[Mapping[str, Any]]) -> tuple[bool, list[JsonObject]]:
        """Have these pictures on a product, in this order, before any others it has, which stay.

        Gives whether anything was different, and the pictures it has now. Raises PlatformAway while Shopify still works
        at one: the next try finds it.
        """
        product = mapping.gid("Product", product_id)
        media = await self._media(product)
        before = [medium["id"] for medium in media]
        chosen: list[JsonObject] = []
        has_changed = False
        for each in wanted:
            medium, is_new = await self._had(product, media, each)
            has_changed |= is_new
            chosen.append(medium)
        ids = [medium["id"] for medium in chosen]
        if [each for each in before if each in ids] != [each for each in ids if each in before] or (
            has_changed and [*before, *(each for each in ids if each not in before)][: len(ids)] != ids
        ):
            await self._reorder(product, ids)
            has_changed = True
        rest = [medium for medium in media if medium["id"] not in ids]
        return has_changed, [mapping.image(medium) for medium in [*chosen, *rest] if (medium.get("image") or {})]

    async def take_away(self, product_id: str, url: str) -> Written:
        """Take one picture off a product, after a person approved it. The file stays in the shop's files."""
        product = mapping.gid("Product", product_id)
        media = await self._media(product)
        medium = next((each for each in media if _address(each["image"]["url"]) == _address(url)), None)
        if medium is None:
            return Written("unchanged", external_id=product_id)
        await self._update({"id": medium["id"], "referencesToRemove": [product]})
        left = [mapping.image(each) for each in media if each is not medium]
        return Written("ok", external_id=product_id, fields={"images": left})

    async def _had(
        self, product_id: str, media: Sequence[JsonObject], wanted: Mapping[str, Any]
    ) -> tuple[JsonObject, bool]:
        """The product's medium for a picture, put there if it was not; and whether anything was different."""
        medium = _by_address(media, str(wanted["url"]))
        if medium is None:
            picture = await picture_of(self._client.http, wanted, MOST_BYTES)
            medium = next((each for each in media if source_hash(each["image"]["url"]) == picture.hash), None)
            if medium is None:
                return await self._added(product_id, picture), True
        alt = wanted.get("alt") or ""
        if (medium["alt"] or "") == alt:
            return medium, False
        await self._update({"id": medium["id"], "alt": alt})
        return {**medium, "alt": alt}, True

    async def _added(self, product_id: str, picture: Picture) -> JsonObject:
        file = await self._file(picture)
        updated = await self._update({"id": file["id"], "alt": picture.alt, "referencesToAdd": [product_id]})
        return {**file, "alt": picture.alt, **{name: value for name, value in updated.items() if value is not None}}

    async def _file(self, picture: Picture) -> JsonObject:
        """The shop's file of a picture, uploaded if there is none. Raises PlatformAway, PlatformRefused."""
        file = await self._found(picture)
        if file is None:
            file = await self._uploaded(picture)
        return await self._ready(file)

    async def _found(self, picture: Picture) -> JsonObject | None:
        data = await self._client.ask(queries.FIND_FILES, {"query": f"filename:{NAMED}{picture.hash}*"})
        alive = [each for each in data["files"]["nodes"] if each and each["fileStatus"] != "FAILED"]
        return next((each for each in alive if each.get("id")), None)

    async def _uploaded(self, picture: Picture) -> JsonObject:
        content = picture.content or await fetch(self._client.http, picture.url, MOST_BYTES)
        extension, kind = kind_of(content)
        name = f"{NAMED}{picture.hash}.{extension}"
        given = {
            "originalSource": await self._staged(name, kind, content),
            "filename": name,
            "alt": picture.alt,
            "contentType": "IMAGE",
            "duplicateResolutionMode": "RAISE_ERROR",
        }
        payload = (await self._client.ask(queries.CREATE_FILES, {"files": [given]}))["fileCreate"] or {}
        errors = user_errors(payload)
        if any("exist" in f"{error.get('code')} {error.get('message')}".lower() for error in errors):
            raise PlatformAway(f"{words(errors)} It is looked for again.", retry_after_seconds=10)
        if errors or not payload.get("files"):
            raise PlatformRefused(words(errors) or "Shopify made no file.")
        file: JsonObject = payload["files"][0]
        return file

    async def _staged(self, name: str, kind: str, content: bytes) -> str:
        """Put the bytes where Shopify takes them from. Gives their address there."""
        asked = {
            "filename": name,
            "mimeType": kind,
            "fileSize": str(len(content)),
            "httpMethod": "POST",
            "resource": "IMAGE",
        }
        payload = (await self._client.ask(queries.STAGE_UPLOADS, {"input": [asked]}))["stagedUploadsCreate"] or {}
        errors, targets = user_errors(payload), payload.get("stagedTargets")
        if errors or not targets:
            raise PlatformRefused(words(errors) or "Shopify gave no place for the upload.")
        target = targets[0]
        fields = [(each["name"], each["value"]) for each in target["parameters"]]
        body, content_type = _form(fields, name, kind, content)
        headers = {"Content-Type": content_type}
        checked(await self._client.http.send("POST", target["url"], headers=headers, content=body, points=0))
        return str(target["resourceUrl"])

    async def _ready(self, file: JsonObject) -> JsonObject:
        """The file when Shopify has worked through it."""
        wait, waited = FIRST_WAIT_SECONDS, 0.0
        while file["fileStatus"] != "READY":
            if file["fileStatus"] == "FAILED":
                raise PlatformRefused(words(list(file.get("fileErrors") or ())) or "Shopify can not read the picture.")
            if waited >= PATIENCE_SECONDS:
                raise PlatformAway("Shopify still works at the picture.", retry_after_seconds=30)
            await asyncio.sleep(wait)
            waited, wait = waited + wait, min(wait * 2, LONGEST_WAIT_SECONDS)
            node = (await self._client.ask(queries.FILES_BY_ID, {"ids": [file["id"]]}))["nodes"][0]
            file = node or {**file, "fileStatus": "FAILED"}
        return file

    async def _update(self, given: JsonObject) -> JsonObject:
        payload = (await self._client.ask(queries.UPDATE_FILES, {"files": [given]}))["fileUpdate"] or {}
        errors = user_errors(payload)
        if any(code(error) == "NON_READY_STATE" for error in errors):
            raise PlatformAway(words(errors), retry_after_seconds=30)
        if errors:
            raise PlatformRefused(words(errors))
        return dict((payload.get("files") or [{}])[0] or {})

    async def _reorder(self, product_id: str, ids: Sequence[str]) -> None:
        moves = [{"id": each, "newPosition": str(place)} for place, each in enumerate(ids)]
        data = await self._client.ask(queries.REORDER_MEDIA, {"id": product_id, "moves": moves})
        errors = user_errors(data["productReorderMedia"], "mediaUserErrors")
        if errors:
            raise PlatformRefused(words(errors))

    async def _media(self, product_id: str) -> list[JsonObject]:
        found: list[JsonObject] = []
        after, more = None, True
        while more:
            owner = (await self._client.ask(queries.MORE_MEDIA, {"id": product_id, "after": after}))["node"]
            if owner is None:
                raise PlatformRefused("Shopify no longer has the product.")
            found += [medium for medium in owner["more"]["nodes"] if mapping.is_image(medium)]
            after, more = owner["more"]["pageInfo"]["endCursor"], owner["more"]["pageInfo"]["hasNextPage"]
        return found


def _address(url: str) -> str:
    """An address without the `?v=` that moves whenever Shopify works at the file."""
    return url.partition("?")[0]


def _by_address(media: Sequence[JsonObject], url: str) -> JsonObject | None:
    return next((each for each in media if _address(each["image"]["url"]) == _address(url)), None)


def _form(fields: Sequence[tuple[str, str]], name: str, kind: str, content: bytes) -> tuple[bytes, str]:
    """A form with one file, which comes last (RFC 7578), and its content type."""
    boundary = f"crossdock-{sha256(content).hexdigest()[:32]}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{each}"\r\n\r\n{value}\r\n'.encode()
        for each, value in fields
    ]
    named = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    head = f"--{boundary}\r\n{named}\r\nContent-Type: {kind}\r\n\r\n"
    body = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"
