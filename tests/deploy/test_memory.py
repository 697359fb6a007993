"""What a program has when it begins to work is left out of collections."""

import gc
from collections.abc import Iterator

import pytest

from deploy import topology

pytestmark = pytest.mark.feature("ORD-1")


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector as it was, afterwards."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_a_collection_passes_by_what_was_there_before(collector: None) -> None:
    before = len(gc.get_objects())
    topology.settle_memory()
    assert gc.get_freeze_count() >= before / 2
    assert len(gc.get_objects()) < before / 10
