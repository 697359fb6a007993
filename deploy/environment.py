"""Make the Python environment `.venv` of this clone: `environment.py LOCK`. Uses nothing but the standard library.

Nothing is done when the environment fits the lock file already. The stamp that says so is written last, so that an
interrupted run is done again; two at once wait for each other.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = VENV / ".lock"
STAMP = VENV / ".installed"
BUILD_LOCK = ROOT / "deploy" / "build.lock"
RUN_LOCK = "requirements.lock"


class CannotInstall(Exception):
    """The environment cannot be made; the text says why and what to do."""


def make(lock: str) -> None:
    """Make the environment fit `lock`, a file name in the clone. Raises CannotInstall."""
    if fits(lock):
        return
    if VENV.is_symlink():
        raise CannotInstall(f"{VENV} leads elsewhere, to what is not this clone's to change: remove the link.")
    with locked():
        if fits(lock):
            return
        STAMP.unlink(missing_ok=True)
        if not is_usable():
            create()
        install(lock)
        # The test lock holds all of the other one: an environment for tests serves as well.
        STAMP.write_text("\n".join({digest(lock), digest(RUN_LOCK)}))


def fits(lock: str) -> bool:
    """Whether the environment was made from exactly these files, in this place."""
    return STAMP.exists() and digest(lock) in STAMP.read_text().split()


def digest(lock: str) -> str:
    """Return what the environment for `lock` depends on, as one hash."""
    content = [(ROOT / lock).read_bytes(), BUILD_LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes()]
    return hashlib.sha256(b"\0".join([lock.encode(), os.fsencode(ROOT), *content])).hexdigest()


@contextmanager
def locked() -> Iterator[None]:
    """Be the only one who changes the environment."""
    try:
        VENV.mkdir(exist_ok=True)
        file = LOCK.open("w")
    except OSError as error:
        raise CannotInstall(f"{VENV} cannot be written ({error.strerror}): use a clone that is your own.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that makes {VENV}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_usable() -> bool:
    """Whether there is a complete environment that was made in this place."""
    pip = VENV / "bin" / "pip"
    if not pip.exists() or str(VENV) not in pip.read_text():
        return False
    check = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", check], capture_output=True).returncode == 0


def create() -> None:
    """Make an empty environment in place of whatever is there."""
    provide_venv()
    say(f"making {VENV} with Python {sys.version.split()[0]}")
    for entry in VENV.iterdir():
        if entry == LOCK:
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    run([sys.executable, "-m", "venv", str(VENV)], "the environment could not be made")


def provide_venv() -> None:
    """Make sure that this Python can make environments: Debian packages that part separately."""
    if has_venv():
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing the package {package}, which this Python lacks")
        subprocess.run(["apt-get", "-qq", "update"], stdin=subprocess.DEVNULL)
        subprocess.run(["apt-get", "-qq", "install", "-y", package], stdin=subprocess.DEVNULL)
    if not has_venv():
        raise CannotInstall(
            f"{sys.executable} cannot make environments: install its venv part "
            f"(on Debian: sudo apt-get install {package}), then run this again."
        )


def has_venv() -> bool:
    """Whether a fresh interpreter finds both parts that making an environment needs."""
    return subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0


def install(lock: str) -> None:
    """Install what building needs, Crossdock itself (editable), and last what the lock names, whose pins so prevail."""
    number = sum(1 for line in (ROOT / lock).read_text().splitlines() if "==" in line and line[:1].isalnum())
    say(f"installing {number} packages from {lock}; the first time takes a minute")
    pip("--require-hashes", "-r", str(BUILD_LOCK))
    pip("--no-deps", "--no-build-isolation", "-e", str(ROOT))
    pip("--require-hashes", "-r", str(ROOT / lock))


def pip(*arguments: str) -> None:
    options = ["--quiet", "--quiet", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore"]
    run(
        [str(PYTHON), "-m", "pip", "install", *options, *arguments],
        "installing failed; is the package index reachable?",
    )


def run(command: list[str], complaint: str) -> None:
    """Run a command that speaks for itself. Raises CannotInstall with `complaint` when it fails."""
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        raise CannotInstall(f"{complaint} (above is what it said). Then run this again.")


def say(text: str) -> None:
    sys.stdout.write(f"crossdock: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        make(sys.argv[1])
    except CannotInstall as error:
        sys.exit(f"crossdock: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
