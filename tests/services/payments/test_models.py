"""Rows of payments that are made of all their values, in no session."""

import subprocess
import sys

import pytest

_FIRST = """
from services.payments.models import Gateway
print(Gateway.of({"settings": {"merchant_account": "M"}}).settings)
"""


@pytest.mark.feature("PAY-2")
def test_the_first_row_of_a_process_can_be_read() -> None:
    """A worker begins with one, before anything has asked SQLAlchemy for a table."""
    run = subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, "{'merchant_account': 'M'}\n"), run.stderr
