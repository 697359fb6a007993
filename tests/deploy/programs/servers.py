"""Starts both embedded servers, says where they are and waits for the end of its input: servers.py DATA [--unleashed].

`--unleashed`: the servers are not told of their parent's death, as on a system that has no such thing.
"""

import sys
from pathlib import Path

import deploy.embedded
from deploy.embedded import EmbeddedPostgres, EmbeddedRedis
from deploy.leash import leash


def main(data: str, *flags: str) -> None:
    if "--unleashed" in flags:
        deploy.embedded.leash = lambda command, _signal, **account: leash(command, 0, **account)
    sys.stdout.write("starting\n")
    sys.stdout.flush()
    with EmbeddedPostgres(Path(data)) as postgres, EmbeddedRedis(Path(data)) as redis:
        sys.stdout.write(f"{postgres.pid} {redis.pid} {postgres.url} {redis.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


main(*sys.argv[1:])
