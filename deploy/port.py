"""Ports of the loopback address."""

import random
import socket

HOST = "127.0.0.1"
SERVER_PORTS = (20_000, 32_768)  # Linux hands out 32,768 to 60,999 by default, others from 49,152


def is_port_free(port: int, host: str = HOST) -> bool:
    """Whether a server of this account could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


def find_free_port(host: str = HOST) -> int:
    """Return a port that is free at this moment, below those that systems hand out to outgoing connections: while a
    server is away, one of those could take its port, even the client's that tries to reach it.
    """
    while not is_port_free(port := random.randrange(*SERVER_PORTS), host):  # noqa: S311
        pass
    return port
