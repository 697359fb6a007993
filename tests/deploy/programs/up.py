"""`crossdock up` around pretended programs: up.py DATA [PORT] [--distributed]."""

import sys
from pathlib import Path

from deploy.start import Commands, Options, up

PRETEND = str(Path(__file__).with_name("pretend.py"))


def main(data: str, port: str = "", *flags: str) -> int:
    commands = Commands(crossdock=(sys.executable, PRETEND), services=("one", "two"))
    options = Options(Path(data), port=int(port) if port else None, distributed="--distributed" in flags)
    return up(options, commands)


sys.exit(main(*sys.argv[1:]))
