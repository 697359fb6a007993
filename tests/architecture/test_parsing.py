"""Failures of tests are shown as they are, whatever garbage is collected meanwhile."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def parsing_garbage() -> Iterator[None]:
    """Garbage is collected often, and parses something each time, as the traceback of a failing finalizer does."""

    def parse(phase: str, _: dict[str, int]) -> None:
        if phase == "stop":
            ast.parse("x = [1, (2, 3)]")

    threshold = gc.get_threshold()
    gc.callbacks.append(parse)
    gc.set_threshold(50)
    yield
    gc.set_threshold(*threshold)
    gc.callbacks.remove(parse)


def test_a_parse_ends_well_whatever_is_collected(parsing_garbage: None) -> None:
    source = Path(ast.__file__).read_text("utf-8")
    for _ in range(20):
        assert ast.parse(source).body
    assert gc.isenabled()
