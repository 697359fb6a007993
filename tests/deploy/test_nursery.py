"""The nursery: programs are forked, reported when they end, and lost only for a moment when it is killed itself."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy import migrating
from deploy.errors import ProgramsDidNotLoad
from deploy.nursery import Nursery
from deploy.topology import SERVICES

pytestmark = pytest.mark.feature("OPS-1")


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    keeping = Nursery(tmp_path, os.environ)
    yield keeping
    await keeping.close()


async def test_a_program_speaks_to_its_log_and_its_end_is_told(nursery: Nursery, tmp_path: Path) -> None:
    fine = await nursery.launch("fine", ["--version"], os.environ)
    bad = await nursery.launch("bad", ["work", "warehouse"], os.environ)
    assert await asyncio.gather(fine.wait(), bad.wait()) == [0, 2]
    assert (tmp_path / "fine.log").read_text().startswith("crossdock ")
    assert "warehouse is none of" in (tmp_path / "bad.log").read_text()


async def test_it_names_the_services(nursery: Nursery) -> None:
    assert await nursery.services() == list(SERVICES)


async def test_migrating_begins_while_the_services_are_still_imported(nursery: Nursery, tmp_path: Path) -> None:
    helped = await nursery.launch("migrate", ["migrate", "--help"], os.environ)
    assert nursery._services
    assert not nursery._services.done()
    assert await helped.wait() == 0
    assert "Bring the database to this version" in (tmp_path / "migrate.log").read_text()
    assert await (await nursery.launch("fine", ["--version"], os.environ)).wait() == 0


def test_it_migrates_what_it_serves() -> None:
    assert set(migrating.services()) == set(SERVICES)


async def test_after_it_was_killed_the_next_launch_starts_it_again(nursery: Nursery) -> None:
    await nursery.services()
    assert nursery._server
    os.kill(nursery._server.pid, signal.SIGKILL)
    await nursery._server.wait()
    async with asyncio.timeout(60):
        while True:
            try:
                again = await nursery.launch("again", ["--version"], os.environ)
                break
            except ProgramsDidNotLoad:
                continue  # asked before the news of its death had come
    assert await again.wait() == 0


async def test_what_was_forked_before_loading_failed_ends_for_that_reason(tmp_path: Path) -> None:
    (tmp_path / "tantivy.py").write_text("raise ImportError('tantivy is not for this machine')")
    broken = Nursery(tmp_path, {**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        # It waits for a database that never answers, until those it was forked from are gone.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
            helped = await broken.launch(
                "migrate", ["migrate", "--admin-url", url, "--app-password", "none"], os.environ
            )
            assert await helped.wait() != 0
        with pytest.raises(ProgramsDidNotLoad, match="tantivy is not for this machine"):
            broken.check_loaded()
    finally:
        await broken.close()


async def test_programs_that_cannot_be_loaded_are_reported_with_the_reason(tmp_path: Path) -> None:
    broken = Nursery(tmp_path, {**os.environ, "PYTHONHOME": "/nowhere"})
    try:
        with pytest.raises(ProgramsDidNotLoad, match="could not be loaded"):
            await broken.launch("any", ["--version"], os.environ)
        with pytest.raises(ProgramsDidNotLoad):
            await broken.services()
    finally:
        await broken.close()
