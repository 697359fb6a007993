"""Files in the blob store: whole or not at all, each organization's its own."""

import os
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from shared import blobs
from shared.errors import CrossdockError, Unavailable
from shared.identifiers import new_id
from shared.settings import Settings

PIECE = b"x" * 1_000_000


@pytest.fixture
def organization_id(configuration: Settings) -> UUID:
    return new_id()


def files(configuration: Settings, organization_id: UUID) -> list[Path]:
    folder = configuration.data / "blobs" / str(organization_id)
    return [path for path in folder.rglob("*") if path.is_file()]


async def pieces(count: int, *, fail: bool = False) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE
    if fail:
        raise ConnectionResetError("the client went away")


async def test_a_stream_comes_back_as_it_went_in(organization_id: UUID) -> None:
    stored = await blobs.put_stream(organization_id, "a/b.csv", pieces(12))
    assert stored.size == 12 * len(PIECE)
    sizes = [len(piece) async for piece in blobs.get_stream(organization_id, "a/b.csv")]
    assert (sum(sizes), len(sizes) > 1) == (stored.size, True)
    assert (await blobs.put(organization_id, "c", b"")).size == 0
    assert await blobs.get(organization_id, "c") == b""


@pytest.mark.parametrize("count", [1, 12])
async def test_an_upload_that_breaks_or_grows_too_large_leaves_nothing(
    configuration: Settings, organization_id: UUID, count: int
) -> None:
    with pytest.raises(ConnectionResetError):
        await blobs.put_stream(organization_id, "broken", pieces(count, fail=True))
    with pytest.raises(blobs.BlobTooLarge):
        await blobs.put_stream(organization_id, "large", pieces(count), limit=len(PIECE) - 1)
    assert files(configuration, organization_id) == []


async def test_a_key_names_nothing_in_another_organization(organization_id: UUID) -> None:
    await blobs.put(organization_id, "secret", b"1")
    other = new_id()
    for key in ("secret", f"../{organization_id}/secret", "/secret", "a/../../x", "", "a//b", "."):
        with pytest.raises(CrossdockError) as refusal:
            await blobs.get(other, key)
        assert refusal.value.code == "blob_not_found"


async def test_renaming_and_removing(organization_id: UUID) -> None:
    await blobs.put(organization_id, "a", b"1")
    await blobs.rename(organization_id, "a", "b/c")
    assert await blobs.get(organization_id, "b/c") == b"1"
    with pytest.raises(blobs.BlobNotFound):
        await blobs.rename(organization_id, "a", "d")
    await blobs.delete(organization_id, "b/c")
    await blobs.delete(organization_id, "b/c")
    with pytest.raises(blobs.BlobNotFound):
        await blobs.get(organization_id, "b/c")


def _age(configuration: Settings, organization_id: UUID, key: str, days: float) -> None:
    """As if the file had been written so long ago."""
    then = time.time() - days * 86400
    os.utime(configuration.data / "blobs" / str(organization_id) / key, (then, then))


@pytest.mark.feature("CAT-5")
async def test_old_files_that_nobody_needs_are_swept(
    configuration: Settings, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_LISTED_AT_ONCE", 2)
    other = new_id()
    for owner in (organization_id, other):
        for key in ("imports/needed", "imports/a/orphan", "imports/b/orphan", "imports/young", "importsx/c", "mine"):
            await blobs.put(owner, key, b"x")
            if "young" not in key:
                _age(configuration, owner, key, 3)
    foreign = configuration.data / "blobs" / "imports" / "not-an-organization"
    foreign.parent.mkdir()
    foreign.write_text("x")
    os.utime(foreign, (0, 0))
    asked: list[tuple[UUID, str]] = []

    async def list_needed(owner: UUID, keys: Sequence[str]) -> list[str]:
        asked.extend((owner, key) for key in keys)
        return [key for key in keys if key == "imports/needed" or owner == other]

    assert await blobs.sweep("imports", timedelta(days=1), list_needed) == 2
    looked_at = {"imports/needed", "imports/a/orphan", "imports/b/orphan"}
    assert {key for owner, key in asked if owner == organization_id} == looked_at
    assert len(asked) == 6
    left = {path.name for path in files(configuration, organization_id)}
    assert left == {"needed", "young", "c", "mine"}
    assert len(files(configuration, other)) == 6
    assert foreign.exists()
    assert await blobs.sweep("imports", timedelta(days=1), list_needed) == 0


@pytest.mark.feature("CAT-9")
async def test_a_sweep_that_has_no_time_left_is_gone_on_with(
    configuration: Settings, organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time one file goes, or one organization is done with, in the order of their ids."""
    owners = sorted([organization_id, new_id(), new_id()], key=str)
    for owner, keys in zip(owners, (("imports/a", "imports/b"), (), ("imports/needed", "imports/c")), strict=True):
        for key in (*keys, "mine"):
            await blobs.put(owner, key, b"x")
            _age(configuration, owner, key, 3)

    async def list_needed(_owner: UUID, keys: Sequence[str]) -> list[str]:
        return [key for key in keys if key == "imports/needed"]

    told: list[tuple[int, int | None]] = []
    # What other tests left lies before: their ids are older.
    start: UUID | None = owners[0]
    while start is not None:
        swept = await blobs.sweep_for(0, "imports", timedelta(days=1), list_needed, start=start)
        start = swept.goes_on
        told.append((swept.removed, None if start is None else owners.index(start)))
    assert told == [(1, 0), (1, 0), (0, 1), (0, 2), (1, 2), (0, None)]
    assert {path.name for owner in owners for path in files(configuration, owner)} == {"needed", "mine"}


async def test_a_sweep_that_cannot_ask_removes_nothing(configuration: Settings, organization_id: UUID) -> None:
    await blobs.put(organization_id, "imports/orphan", b"x")
    _age(configuration, organization_id, "imports/orphan", 3)

    async def fail(_owner: UUID, _keys: Sequence[str]) -> list[str]:
        raise Unavailable("Not now.")

    with pytest.raises(Unavailable):
        await blobs.sweep("imports", timedelta(days=1), fail)
    assert len(files(configuration, organization_id)) == 1
