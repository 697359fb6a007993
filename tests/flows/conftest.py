"""A whole system of the test's own, in each topology, started as a user starts it."""

from collections.abc import Iterator

import pytest

from deploy.bench.system import System, running_system


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """`crossdock up` with the demo business, embedded and distributed in turn."""
    with running_system(request.param, workers=1) as started:
        yield started
