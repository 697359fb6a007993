"""Run a command that dies with its parent: `leash(...)` makes the command line, this file as a script carries it out.

A wrapper and not a `preexec_fn`, because running Python between fork and exec is unsafe in a process with threads. As a
script it runs without site-packages and imports next to nothing, so that it costs some ten milliseconds.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def leash(command: list[str], death_signal: int, *, uid: int | None = None, gid: int | None = None) -> list[str]:
    """Return the command line that runs `command`, on Linux with `death_signal` sent to it when the thread that spawned
    it ends. With `uid` and `gid` the command runs as that account and without further groups; the caller must be root.
    """
    account = [str(-1 if number is None else number) for number in (uid, gid)]
    return [sys.executable, "-I", "-S", __file__, str(int(death_signal)), str(os.getpid()), *account, *command]


def follow_parent(kernel: ctypes.CDLL | None, death_signal: int, parent: int) -> None:
    """Ask the kernel for `death_signal` at the parent's death; exit at once when it is dead already."""
    if kernel is None:
        return
    kernel.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def load_kernel() -> ctypes.CDLL | None:
    """Return what `follow_parent` needs; None where the system knows no such thing."""
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def take_account(uid: int, gid: int) -> None:
    """Give up root for the account, groups first because afterwards they cannot be given up. -1 keeps everything."""
    if uid < 0:
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: list[str]) -> None:
    death_signal, parent, uid, gid = (int(number) for number in arguments[:4])
    command = arguments[4:]
    kernel = load_kernel()  # while we may still read the files of Python
    take_account(uid, gid)
    # After the change of account: the kernel forgets the death signal when credentials change (prctl(2)).
    follow_parent(kernel, death_signal, parent)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
