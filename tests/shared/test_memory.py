"""Memory that is given back: measured in a process of its own."""

import subprocess
import sys

import pytest

from shared import memory

_PROGRAM = """
import psutil
from shared.memory import give_back_memory

process = psutil.Process()
much = [bytes(20_000) for _ in range(10_000)]
# What lies between these is free, and would be kept.
left = much[::50]
del much
before = process.memory_info().rss
give_back_memory()
print(before - process.memory_info().rss)
"""


@pytest.mark.feature("SEA-4")
@pytest.mark.skipif(memory._trim is None, reason="this C library keeps nothing that it could give back")
def test_what_is_free_between_things_in_use_is_given_back_to_the_system() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert int(run.stdout) > 100_000_000
