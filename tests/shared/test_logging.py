"""Logs are JSON with the request's id and without secrets."""

import json
import logging as standard

import pytest
import structlog

from shared import logging

pytestmark = pytest.mark.feature("GAT-5")


@pytest.fixture(autouse=True)
def configured(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("INFO")


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_json_with_level_time_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("x").info("order_placed", number="1001")
    [line] = logged(capsys)
    assert line.pop("at")
    assert line == {"event": "order_placed", "level": "info", "number": "1001", "request_id": "r-1"}


@pytest.mark.parametrize(
    "name", ["authorization", "Set-Cookie", "password", "client_secret", "access_token", "key", "X-Api-Key"]
)
def test_what_is_named_secret_is_masked_at_any_depth(capsys: pytest.CaptureFixture[str], name: str) -> None:
    structlog.get_logger("x").info("seen", **{name: "abc"}, headers=[{"inner": {name: "abc"}}])
    [line] = logged(capsys)
    assert line[name] == logging.MASK
    assert line["headers"] == [{"inner": {name: logging.MASK}}]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent Bearer abcdefgh12345", f"sent Bearer {logging.MASK}"),
        ("with cdk_a1b2c3d4e5f6", f"with cdk_{logging.MASK}"),
        ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln refused", f"{logging.MASK} refused"),
        ("postgresql://crossdock_app:hunter2@127.0.0.1/x", f"postgresql://crossdock_app:{logging.MASK}@127.0.0.1/x"),
        ("order 1001 of ada@example.com", "order 1001 of ada@example.com"),
    ],
)
def test_texts_that_look_like_secrets_are_masked(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    structlog.get_logger("x").warning("told", detail=text)
    assert logged(capsys)[0]["detail"] == shown


def test_secrets_in_exceptions_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("refused Bearer abcdefgh12345")
    except ValueError as error:
        structlog.get_logger("x").error("defect", exc_info=error)
    [line] = logged(capsys)
    assert "abcdefgh12345" not in json.dumps(line)
    assert "ValueError: refused Bearer (masked)" in str(line["exception"])


def test_the_standard_library_logs_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    standard.getLogger("some.library").warning("gave up %s", "cdk_a1b2c3d4e5f6", extra={"password": "x"})
    [line] = logged(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("gave up cdk_(masked)", "warning", "some.library")


def test_below_the_level_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("WARNING")
    structlog.get_logger("x").info("quiet")
    assert logged(capsys) == []
