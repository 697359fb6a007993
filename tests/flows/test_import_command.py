"""`crossdock import` against a running system, in both topologies."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.bench.system import System
from tests.factories.catalog import csv_file, shopify_row

pytestmark = pytest.mark.feature("CAT-5", "CAT-6")


def run(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", "import", *words]
    credentials = ["--credentials", str(system.data / "credentials.json")]
    return subprocess.run([*command, *credentials], capture_output=True, text=True, timeout=180, check=False)


def test_a_file_is_tried_imported_and_imported_again(system: System, tmp_path: Path) -> None:
    file = tmp_path / "goods.csv"
    rows = [shopify_row(f"by-command-{n}") for n in range(30)] + [shopify_row("by-command-bad", price="oops")]
    file.write_bytes(csv_file(rows))
    tried = run(system, str(file), "--shop", "main", "--dry-run")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "nothing was changed" in tried.stdout
    assert "insert product by-command-0" in tried.stdout
    assert system.ask("GET", "/v1/products", params={"slug": "by-command-0"})["items"] == []
    done = run(system, str(file), "--shop", "main")
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert all(words in said for words in ("products inserted 30", "row 32, Variant Price", "invalid_price"))
    assert len(system.ask("GET", "/v1/products", params={"slug": "by-command-0"})["items"]) == 1
    again = run(system, str(file), "--shop", "main")
    assert "was imported before" in again.stdout


def test_stock_goes_to_its_service_and_what_fails_is_said(system: System, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("sku,on_hand\nBY-COMMAND,4\n")
    done = run(system, str(file), "--group", "stock")
    assert done.returncode == 0, done.stdout + done.stderr
    (level,) = system.ask("GET", "/v1/stock", params={"sku": "BY-COMMAND"})["items"]
    assert level["on_hand"] == 4
    file.write_text("")
    assert run(system, str(file), "--group", "stock").returncode == 1
    refused = run(system, str(file), "--group", "nonsense")
    assert (refused.returncode, "unsupported_group" in refused.stdout or "empty_upload" in refused.stdout) == (1, True)
    missing = run(system, str(tmp_path / "none.csv"))
    assert (missing.returncode, "none.csv" in missing.stdout) == (1, True)


def test_an_import_that_would_take_away_too_much_is_held(system: System, tmp_path: Path) -> None:
    file = tmp_path / "gone.csv"
    slugs = [item["slug"] for item in system.ask("GET", "/v1/products", params={"first": 200})["items"]]
    file.write_text("\n".join(["Handle", *slugs]))
    held = run(system, str(file), "--shop", "main", "--mode", "delete", "--guard-percent", "10")
    assert held.returncode == 3, held.stdout + held.stderr
    assert "Nothing was changed" in held.stdout
    assert "/confirm" in held.stdout
