"""A product's pictures and other media: one list in order to its keepers, two to the table.

Pictures are by themselves, because files bring and replace them; everything else remembers its place among all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.contracts.catalog.shapes import Image, Media

Stored = list[dict[str, Any]]


def apart(media: Sequence[Media]) -> tuple[Stored, Stored]:
    """Pictures, and the others with their places, as they are stored."""
    images = [_image(medium) for medium in media if medium.kind == "image"]
    others = [
        {**medium.model_dump(exclude={"alts"}, exclude_none=True), "position": position}
        for position, medium in enumerate(media)
        if medium.kind != "image"
    ]
    return images, others


def together(images: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> Stored:
    """Pictures and others in their order; what stood behind pictures that are gone comes last."""
    gallery: Stored = [{**image, "kind": "image"} for image in images]
    for other in sorted(others, key=lambda medium: medium["position"]):
        gallery.insert(other["position"], {name: value for name, value in other.items() if name != "position"})
    return gallery


def images_as_stored(images: Iterable[Image]) -> Stored:
    return [_image(image) for image in images]


def _image(image: Image | Media) -> dict[str, Any]:
    return {"url": image.url, "alt": image.alt}


def alts_of(media: Iterable[Image | Media]) -> dict[str, dict[str, str]]:
    """Alt texts by address and locale, where there are any."""
    return {medium.url: dict(medium.alts) for medium in media if medium.alts}
