"""Whole systems that stories share: one of a topology is started, as a user starts it, for all of them in a row.

A system takes seconds of two cores to start, so stories that leave each other alone need not have one each: goods,
connections and files have names of their own. They run in the order of STORIES, embedded and distributed apart, each
in one process of the test run however many there are; after the last the system is stopped.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest
from xdist.scheduler import LoadFileScheduling

from deploy.bench.system import System, running_system
from tests.faults.killing import roles

STORIES = (
    # What shoppers find is judged by the demo's goods alone; others bring theirs.
    "tests/flows/test_main_job.py",
    "tests/flows/test_import_command.py",
    "tests/flows/test_connect_command.py",
    "tests/flows/test_agent_command.py",
    "tests/faults/test_last_units.py",
    "tests/faults/test_frozen_service.py",
    "tests/faults/test_any_process_killed.py",
    "tests/faults/test_jobs_killed.py",
)
TOPOLOGIES = ("distributed", "embedded")
# Fakes listen on the loopback address; what a killed agent had in hand is given to the next after this.
_ENVIRONMENT = {"CROSSDOCK_FETCH_PRIVATE": "true", "CROSSDOCK_AGENT_LEASE": "PT5S"}
_WHOLE_AGAIN_SECONDS = 120.0


@dataclass
class Systems:
    """The system of the stories, started when one asks for it. One runs at a time."""

    stack: ExitStack = field(default_factory=ExitStack)
    running: System | None = None
    programs: frozenset[str] = frozenset()

    def get(self, topology: str) -> System:
        """A system of that topology, whole: all its programs run and it answers. Connections to it are new."""
        if self.running is None or self.running.topology != topology:
            self.stop()
            self.running = self.stack.enter_context(running_system(topology, workers=1, environment=_ENVIRONMENT))
            self.programs = frozenset(roles(self.running))
        known = self.running
        deadline = time.monotonic() + _WHOLE_AGAIN_SECONDS
        while not self._is_whole(known):
            assert time.monotonic() < deadline, f"{self.programs - set(roles(known))} did not come back"
            time.sleep(0.05)
        return System(topology, known.server, known.credentials, known.data, known.seconds_to_answer)

    def _is_whole(self, system: System) -> bool:
        if not self.programs <= set(roles(system)):
            return False
        try:
            return httpx.get(f"{system.http.base_url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        self.running = None
        self.stack.close()


_KEY = pytest.StashKey[Systems]()


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """`crossdock up` with the demo business, embedded and distributed in turn."""
    shared = request.config.stash.setdefault(_KEY, Systems())
    started = shared.get(request.param)
    yield started
    started.http.close()


def story_of(nodeid: str) -> tuple[str, int] | None:
    """The topology whose shared system a test is told in, and the place of its story; None when it needs none."""
    file, _, test = nodeid.partition("::")
    words = re.split(r"[\[\]-]", test)[1:]
    found = [topology for topology in TOPOLOGIES if topology in words]
    return (found[0], STORIES.index(file)) if found and file in STORIES else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories come first, those of one system together: nothing else takes as long."""

    def place(item: pytest.Item) -> tuple[int, int]:
        story = story_of(item.nodeid)
        return (len(TOPOLOGIES), 0) if story is None else (TOPOLOGIES.index(story[0]), story[1])

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    try:
        return (yield)
    finally:
        shared = item.config.stash.get(_KEY, None)
        if shared is not None and (nextitem is None or story_of(nextitem.nodeid) is None):
            shared.stop()


class ByStoriesAndFiles(LoadFileScheduling):
    """All stories of a system to one process, and so all tests of a file."""

    def _split_scope(self, nodeid: str) -> str:
        story = story_of(nodeid)
        return super()._split_scope(nodeid) if story is None else f"stories of {story[0]}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByStoriesAndFiles | None:
    return ByStoriesAndFiles(config, log) if config.getvalue("dist") == "loadfile" else None
