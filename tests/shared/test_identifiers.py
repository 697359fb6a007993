"""Identifiers: in order, each once, also in a forked process."""

import os
from uuid import RFC_4122

import pytest

from shared.identifiers import new_id, new_ids


def test_ids_grow_and_none_comes_twice() -> None:
    made = [new_id() for _ in range(5_000)] + new_ids(5_000) + [new_id()]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {id_.version for id_ in made} == {7}
    assert {id_.variant for id_ in made} == {RFC_4122}
    # What is random in them differs, too: not only the time.
    assert len({id_.int & 0x3FFF_FFFF_FFFF_FFFF for id_ in made}) == len(made)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_gives_out_ids_of_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, new_id().bytes)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = pipe.read(16)
    os.wait()
    assert theirs[8:] != new_id().bytes[8:]
