"""A stand-in for `crossdock serve | work | migrate | load-sample`, for tests of what `up` does around them.

    pretend.py migrate|serve|work|load-sample ... [--port N]

Behaviour by environment: PRETEND_FAIL=<verb> ends that verb with an error, PRETEND_SLOW=<verb> makes it never finish,
PRETEND_STUBBORN=<verb> makes it ignore SIGTERM.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main(arguments: list[str]) -> None:
    verb = arguments[0]
    if os.environ.get("PRETEND_STUBBORN") == verb:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    login = urlsplit(os.environ["DATABASE_URL"]).username
    administrator = urlsplit(os.environ.get("CROSSDOCK_ADMIN_URL", "")).username
    sys.stdout.write(f"{verb} began as {login}, administrator {administrator}\n")
    sys.stdout.flush()
    if os.environ.get("PRETEND_FAIL") == verb:
        sys.exit(f"{verb} cannot do this.")
    if verb == "serve" and os.environ.get("PRETEND_SLOW") != verb and "--port" in arguments:
        HTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Ready).serve_forever()
    if verb in ("serve", "work") or os.environ.get("PRETEND_SLOW") == verb:
        while True:
            signal.pause()


main(sys.argv[1:])
