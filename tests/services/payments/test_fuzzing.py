"""No body and no header that coverage leads to breaks an adapter: a long proof, for `deploy/test --full` alone."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import scale
from tests.factories import gateways as g

_ROOT = Path(__file__).parents[3]
_SECONDS = 30


@pytest.mark.feature("PAY-3")
@pytest.mark.timeout(600)
@pytest.mark.skipif(scale() < 1, reason="a long proof: deploy/test --full")
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not made for this machine")
@pytest.mark.parametrize("provider", g.PROVIDERS)
def test_nothing_that_coverage_leads_to_breaks_an_adapter(provider: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    command = [sys.executable, "-m", "tests.services.payments.fuzzing", provider, str(corpus)]
    options = [f"-max_total_time={_SECONDS}", "-timeout=10", "-max_len=4096", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run([*command, *options], cwd=_ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "DONE" in ended.stderr
