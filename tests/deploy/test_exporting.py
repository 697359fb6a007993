"""`crossdock export` against a system over HTTP: what it writes, and what it says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from deploy.cli import app

pytestmark = pytest.mark.feature("CAT-10")

CONTENT = b"\xef\xbb\xbfhandle\r\nmug\r\n"


class System(BaseHTTPRequestHandler):
    """As much of the doors as an export needs; `asked` are the bodies that came."""

    asked: ClassVar[list[dict[str, Any]]] = []
    states: ClassVar[list[str]] = []
    truncated: ClassVar[bool] = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/oauth/token":
            self.say(200, {"access_token": "token"})
            return
        assert self.headers["authorization"] == "Bearer token"
        self.asked.append(json.loads(body))
        if self.asked[-1]["format"] == "pdf":
            self.say(422, {"detail": "'pdf' is not a format here."})
            return
        self.say(202, self.export("queued"))

    def do_GET(self) -> None:
        if not self.path.endswith("/file"):
            self.say(200, self.export(self.states.pop(0)))
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:5] if self.truncated else CONTENT)

    def export(self, state: str) -> dict[str, Any]:
        is_over = state not in ("queued", "running")
        return {
            "id": "x",
            "group": "products",
            "state": state,
            "counters": {"rows": 1},
            "progress": {"done": int(is_over), "total": 1},
            "error": {"detail": "A text is too long."} if state == "failed" else None,
            "finished_at": "2026-03-01T00:00:00Z" if is_over else None,
            "file_name": "products.csv",
            "size": len(CONTENT),
        }

    def say(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def credentials(tmp_path: Path) -> Iterator[Path]:
    System.asked, System.states, System.truncated = [], ["running", "succeeded"], False
    with ThreadingHTTPServer(("127.0.0.1", 0), System) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = tmp_path / "credentials.json"
        client = {"client_id": "id", "client_secret": "secret"}
        path.write_text(
            json.dumps({"base_url": f"http://127.0.0.1:{server.server_port}", "clients": {"supplier": client}})
        )
        yield path
        server.shutdown()


def exported(credentials: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["export", "--credentials", str(credentials), *arguments])


def test_a_file_is_written_under_its_own_name(
    credentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = exported(credentials, "--status", "active", "--status", "draft", "--sku", "A", "--zip", "--shop", "main")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "products.csv").read_bytes() == CONTENT
    assert System.asked == [
        {
            "group": "products",
            "format": "csv",
            "profile": "crossdock",
            "shop": "main",
            "zipped": True,
            "filter": {"status": ["active", "draft"], "skus": ["A"]},
        }
    ]
    assert "products.csv: 1 rows" in result.stderr


def test_the_standard_output_has_the_file_and_nothing_else(credentials: Path) -> None:
    result = exported(credentials, "--output", "-")
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == CONTENT


@pytest.mark.parametrize(
    ("arguments", "states", "said"),
    [
        (["--format", "pdf"], [], "'pdf' is not a format here. (422)"),
        ([], ["failed"], "A text is too long."),
        ([], ["cancelled"], "it was cancelled"),
    ],
)
def test_what_comes_to_no_file_says_why(
    credentials: Path, tmp_path: Path, arguments: list[str], states: list[str], said: str
) -> None:
    System.states = states
    target = tmp_path / "target.csv"
    result = exported(credentials, "--output", str(target), *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not target.exists()


def test_a_file_cut_in_the_middle_is_no_file(credentials: Path, tmp_path: Path) -> None:
    System.truncated = True
    target = tmp_path / "target.csv"
    result = exported(credentials, "--output", str(target))
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]


def test_without_credentials_it_says_so(tmp_path: Path) -> None:
    result = exported(tmp_path / "none.json", "--output", "-")
    assert result.exit_code == 1
    assert "No credentials" in result.stderr
