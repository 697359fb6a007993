"""The process that `deploy.nursery` forks programs from: it has imported everything, and does nothing else.

    fork_server.py CONTROL        CONTROL: the number of an inherited socket

It says `{"services"}` when it is ready. In come lines `{"id", "words", "environment", "log"}`; out go
`{"id", "process"}` and `{"id", "exit_code"}`. What needs little is forked as soon as that is there, the rest when all
is. At the end of the conversation it ends, and with it, by their leash, its children.
"""

import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from deploy.leash import follow_parent, load_kernel
from deploy.migrating import services

# In the order of importing. `migrate` runs on the other core while what follows its module is being imported.
MODULES = ("deploy.cli", "deploy.migrating", *(f"services.{name}.app" for name in services()), "deploy.topology")
ENOUGH_FOR = {"migrate": "deploy.migrating"}


class ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.unborn: list[dict[str, Any]] = []
        self.rest = b""
        self.is_loaded = False
        self.bell, ring = socket.socketpair()
        ring.setblocking(False)
        self.ring = ring
        self.ids: dict[int, int] = {}
        self.kernel = load_kernel()
        self.own_process = os.getpid()

    def serve(self) -> None:
        """Bear children until the other side hangs up."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.ring.fileno())
        for module in MODULES:
            importlib.import_module(module)
            self.hear(timeout_seconds=0)
            self.bear_what_can_run()
        share_what_is_loaded()
        self.is_loaded = True
        self.tell(services=sys.modules["deploy.topology"].SERVICES)
        while True:
            self.bear_what_can_run()
            self.hear(timeout_seconds=None)

    def hear(self, timeout_seconds: float | None) -> None:
        """Wait so long for requests and endings, for ever with None."""
        readable, _, _ = select.select([self.control, self.bell], [], [], timeout_seconds)
        if self.bell in readable:
            self.bell.recv(4096)
            self.report_endings()
        if self.control in readable:
            received = self.control.recv(65536)
            if not received:
                os._exit(0)
            *lines, self.rest = (self.rest + received).split(b"\n")
            self.unborn += map(json.loads, lines)

    def bear_what_can_run(self) -> None:
        for request in [each for each in self.unborn if self.can_run(each["words"][0])]:
            self.unborn.remove(request)
            self.bear(request)

    def can_run(self, word: str) -> bool:
        """Whether what the program `crossdock <word>` needs has been imported."""
        return self.is_loaded or ENOUGH_FOR.get(word) in sys.modules

    def bear(self, request: dict[str, Any]) -> None:
        child = os.fork()
        if child == 0:
            self.become(request)
        self.ids[child] = request["id"]
        self.tell(id=request["id"], process=child)

    def report_endings(self) -> None:
        while self.ids:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            self.tell(id=self.ids.pop(process), exit_code=os.waitstatus_to_exitcode(status))

    def tell(self, **fact: object) -> None:
        self.control.sendall(json.dumps(fact).encode() + b"\n")

    def become(self, request: dict[str, Any]) -> NoReturn:
        """Turn this child into the program `crossdock <words>`, and end with it."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        follow_parent(self.kernel, signal.SIGTERM, self.own_process)
        for end in (self.control, self.bell, self.ring):
            end.close()
        speak_to(request["log"])
        os.environ.clear()
        os.environ.update(request["environment"])
        words = request["words"]
        sys.argv = ["crossdock", *words]
        show_command_line(sys.argv)
        gc.enable()
        leave(run(words))


def speak_to(log: str) -> None:
    """Let everything this process says go to the end of the file `log`."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def show_command_line(words: list[str]) -> None:
    """Show `words` in the process list in place of what we were started with, as far as that is long enough (proc(5),
    `arg_start`). Where the system has no /proc the old words stay.
    """
    try:
        with open("/proc/self/stat") as stat, open("/proc/self/mem", "r+b", buffering=0) as memory:
            # After the closing parenthesis of field 2 begins field 3.
            start, end = (int(field) for field in stat.read().rpartition(")")[2].split()[45:47])
            memory.seek(start)
            memory.write(b"\0".join(os.fsencode(word) for word in words)[: end - start - 1].ljust(end - start, b"\0"))
    except OSError:
        return


def run(words: list[str]) -> int:
    """Run `crossdock <words>` and return its exit code."""
    try:
        sys.modules["deploy.cli"].main(words)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End this process without taking down, object by object, what was imported before the fork: that took seconds."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def share_what_is_loaded() -> None:
    """What lives now is shared with every child: kept out of collections, it stays shared."""
    gc.collect()
    gc.freeze()
    gc.enable()


def main() -> None:
    # Of what is imported nothing is garbage yet, and to look for it took a fifth of the time.
    gc.disable()
    # Never closed before the process ends: by then it has said what went wrong.
    ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
