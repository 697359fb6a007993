"""The shell scripts and the environment they make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import environment
from tests.deploy.running import ROOT, Child

COMMANDS = ("deploy/up", "deploy/test", ".ci/run")
SOURCED = ("deploy/environment.sh",)


@pytest.mark.parametrize("script", [*COMMANDS, *SOURCED])
def test_every_script_is_posix_shell(script: str) -> None:
    subprocess.run(["sh", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", COMMANDS)
def test_every_command_may_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text().startswith("#!/bin/sh\n")


def test_no_other_script_is_forgotten() -> None:
    texts = (path for folder in ("deploy", ".ci") for path in (ROOT / folder).rglob("*") if path.is_file())
    scripts = {str(path.relative_to(ROOT)) for path in texts if path.read_bytes()[:9] == b"#!/bin/sh"}
    scripts |= {str(path.relative_to(ROOT)) for path in (ROOT / "deploy").rglob("*.sh")}
    assert {*COMMANDS, *SOURCED} <= scripts
    for script in scripts:
        subprocess.run(["sh", "-n", ROOT / script], check=True)


def pins(lock: str) -> set[str]:
    lines = (ROOT / lock).read_text().splitlines()
    return {line.split()[0] for line in lines if "==" in line and line[0].isalnum()}


def test_an_environment_for_tests_is_one_for_running_too() -> None:
    """`deploy/environment.py` counts on it when it writes both stamps."""
    assert pins("requirements.lock") <= pins("requirements-test.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock", "deploy/build.lock"])
def test_every_pin_has_its_hash(lock: str) -> None:
    blocks = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    pinned = [block for block in blocks if block[:1].isalnum()]
    assert pinned
    assert all("==" in block and "--hash=sha256:" in block for block in pinned)


def test_the_build_tool_is_the_one_pyproject_asks_for() -> None:
    assert 'requires = ["hatchling==1.33.0"]' in (ROOT / "pyproject.toml").read_text()
    assert "hatchling==1.33.0" in pins("deploy/build.lock")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that needs no packages but what building it takes."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    for package in ("services", "shared", "gateway"):
        (folder / package).mkdir()
    for lock in ("requirements.lock", "requirements-test.lock"):
        (folder / lock).write_text("# none\n")
    (folder / "deploy" / "cli.py").write_text("def main():\n    print('the real thing')\n")
    return folder


def up(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "deploy" / "up"], capture_output=True, text=True, env={**os.environ, **environment}, cwd="/"
    )


@pytest.mark.parametrize("options", [["--help"], ["-h"], ["--full", "--help"]])
def test_the_tests_say_how_they_are_run_and_do_nothing(clone: Path, options: list[str]) -> None:
    told = subprocess.run([clone / "deploy" / "test", *options], capture_output=True, text=True, check=True, cwd="/")
    assert told.stdout.startswith("Usage: deploy/test [--full]")
    assert (told.stderr, (clone / ".venv").exists()) == ("", False)


def test_a_fresh_clone_makes_its_environment_once(clone: Path) -> None:
    first = up(clone)
    assert first.returncode == 0, first.stderr
    assert "making" in first.stdout
    assert "installing" in first.stdout
    assert first.stdout.endswith("the real thing\n")
    assert up(clone).stdout == "the real thing\n"


def test_an_interrupted_installation_is_done_again(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("/nowhere")
    assert up(clone).stdout.endswith("the real thing\n")
    (clone / ".venv" / ".installed").unlink()
    again = up(clone).stdout
    assert "making" not in again
    assert "installing" in again


def test_a_changed_lock_asks_for_another_installation(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = clone / ".installed"
    monkeypatch.setattr(environment, "ROOT", clone)
    monkeypatch.setattr(environment, "STAMP", stamp)
    stamp.write_text(environment.digest("requirements.lock"))
    assert environment.fits("requirements.lock")
    assert not environment.fits("requirements-test.lock")
    (clone / "requirements.lock").write_text("# another\n")
    assert not environment.fits("requirements.lock")


def test_two_at_once_wait_for_each_other(clone: Path) -> None:
    children = [Child([str(clone / "deploy" / "up")]) for _ in range(2)]
    try:
        assert [child.end() for child in children] == [0, 0]
    finally:
        for child in children:
            child.close()
    said = "".join(child.said for child in children)
    assert said.count("the real thing") == 2
    assert said.count("installing") == 1


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the ordinary tools and one Python, and no apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "dirname"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return folder


def test_a_python_without_venv_is_one_sentence(clone: Path, bare_path: Path, tmp_path: Path) -> None:
    (bare_path / "python3").symlink_to(sys.executable)
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "ensurepip.py").write_text("raise ImportError('Debian packages it separately')\n")
    run = up(clone, PATH=str(bare_path), PYTHONPATH=str(tmp_path / "lacking"))
    assert run.returncode == 1
    assert "cannot make environments: install its venv part" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_root_installs_the_missing_venv(clone: Path, bare_path: Path, tmp_path: Path) -> None:
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    (lacking / "ensurepip.py").write_text("raise ImportError('Debian packages it separately')\n")
    (bare_path / "python3").symlink_to(sys.executable)
    (bare_path / "apt-get").write_text(
        f'#!/bin/sh\necho "apt-get $*"\n[ "$2" = update ] || /bin/rm {lacking}/ensurepip.py\n'
    )
    (bare_path / "apt-get").chmod(0o755)
    run = up(clone, PATH=f"{bare_path}", PYTHONPATH=str(lacking))
    assert f"install -y python3.{sys.version_info.minor}-venv" in run.stdout
    assert run.stdout.endswith("the real thing\n"), run.stderr


def test_no_python_is_one_sentence(clone: Path, bare_path: Path) -> None:
    (bare_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bare_path / "python3").chmod(0o755)
    run = up(clone, PATH=str(bare_path))
    assert run.returncode == 1
    assert "no Python 3.11 or newer" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_what_another_clone_made_is_not_emptied_through_a_link(clone: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "kept").touch()
    (clone / ".venv").symlink_to(theirs)
    run = up(clone)
    assert run.returncode != 0
    assert "leads elsewhere" in run.stderr
    assert [each.name for each in theirs.iterdir()] == ["kept"]


def test_a_place_for_the_environment_that_cannot_be_written_is_one_sentence(clone: Path) -> None:
    (clone / ".venv").write_text("a file")
    run = up(clone)
    assert run.returncode == 1
    assert ".venv cannot be written" in run.stderr
    assert len(run.stderr.splitlines()) == 1
