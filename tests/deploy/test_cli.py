"""The command line itself."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import start
from deploy.cli import app


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, " ".join(result.output.split())


def test_version() -> None:
    assert run("--version") == (0, f"crossdock {version('crossdock')}")


@pytest.mark.parametrize("command", ["up", "serve", "work", "migrate", "demo", "import", "connect"])
def test_every_command_explains_itself(command: str) -> None:
    code, said = run(command, "--help")
    assert code == 0
    assert f"crossdock {command}" in said or f"{command} [OPTIONS]" in said


@pytest.mark.parametrize("command", ["serve", "work"])
def test_an_unknown_service_is_answered_with_the_known_ones(command: str) -> None:
    code, said = run(command, "warehouse")
    assert code == 2
    assert "warehouse is none of" in said
    assert "catalog" in said


@pytest.mark.parametrize("folder", ["", " "])
def test_an_empty_folder_is_not_the_current_one(folder: str) -> None:
    code, said = run("up", "--data", folder)
    assert code == 2
    assert "--data" in said
    assert "Name a folder" in said


@pytest.mark.parametrize(
    ("words", "data"), [((), ".crossdock"), (("--data", "elsewhere"), "elsewhere"), (("--data", "."), ".")]
)
def test_up_needs_no_option(words: tuple[str, ...], data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[start.Options] = []
    monkeypatch.setattr(start, "up", lambda options: asked.append(options) or 0)
    assert run("up", *words)[0] == 0
    assert [options.data for options in asked] == [Path(data)]


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    code, said = run("up", "--port", port)
    assert code == 2
    assert "--port" in said


@pytest.mark.feature("OPS-1")
@pytest.mark.parametrize("command", [("serve", "web"), ("work",), ("check",)])
def test_what_is_not_in_the_environment_is_named_in_a_sentence(command: tuple[str, ...]) -> None:
    known = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "PATH": os.environ["PATH"]}
    said = _said_by(command, known)
    assert said == (
        "crossdock: REDIS_URL, CROSSDOCK_SECRET_KEY must be set in the environment."
        " README.md says what each variable means."
    )


@pytest.mark.feature("OPS-1")
def test_a_variable_that_makes_no_sense_is_named() -> None:
    given = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        "CROSSDOCK_SECRET_KEY": "x",
        "CROSSDOCK_QUEUE_BOUND": "many",
        "PATH": os.environ["PATH"],
    }
    assert "crossdock: CROSSDOCK_QUEUE_BOUND in the environment: Input should be a valid integer" in _said_by(
        ("check",), given
    )


def _said_by(words: tuple[str, ...], environment: dict[str, str]) -> str:
    """What the command says when it ends with 1, on one line."""
    command = [sys.executable, "-P", "-m", "deploy.cli", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    return " ".join(ended.stderr.split())
