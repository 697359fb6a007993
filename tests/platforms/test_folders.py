"""Adapters read as code: the same five files, and nothing that could remove anything over there (SYN-1, SYN-8)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sync import platforms
from services.sync.platforms.registry import PLATFORMS

ROOT = Path(platforms.__file__).parent
FOLDERS = sorted(path for path in ROOT.iterdir() if (path / "__init__.py").exists())
FILES = sorted(file for folder in FOLDERS for file in folder.rglob("*.py"))
_REMOVES = re.compile(r"\bdelete\b|[a-z]Delete", re.IGNORECASE)


@pytest.mark.feature("SYN-1")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_platform_folder_has_its_five_files(folder: Path) -> None:
    assert folder.name in PLATFORMS
    for name in ("client.py", "mapping.py", "webhooks.py", "platform.py", "README.md"):
        assert (folder / name).is_file(), f"{folder.name} has no {name}"


@pytest.mark.feature("SYN-8")
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_only_a_module_of_images_removes_anything(file: Path) -> None:
    found = list(removing(file.read_text()))
    assert not found or file.name == "images.py", f"{file}: {found}"


@pytest.mark.feature("SYN-8")
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_requests_go_through_the_one_client_that_has_no_delete(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.partition(".")[0] not in ("httpx", "urllib3", "requests", "aiohttp", "socket"), (
                f"{file}: {name}"
            )
            assert name not in ("urllib.request", "http.client"), f"{file}: {name}"


@pytest.mark.feature("SYN-8")
@pytest.mark.parametrize(
    "code",
    [
        "http.delete_image('/x')",
        "send('DELETE', '/x')",
        "client.delete('/x')",
        "QUERY = 'mutation { productDelete(input: {id: $id}) { userErrors { message } } }'",
        "body = {'delete': ids}",
        "getattr(http, 'delete_image')('/x')",
    ],
)
def test_code_that_removes_is_recognized(code: str) -> None:
    assert list(removing(code))


@pytest.mark.feature("SYN-8")
def test_words_in_documentation_remove_nothing() -> None:
    assert not list(removing('"""Never send DELETE."""\ndef a():\n    """Nor delete."""\n    return "text"\n'))


def removing(code: str) -> Iterator[str]:
    """What in some code could remove anything: names and texts that say so, but for documentation."""
    tree = ast.parse(code)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
        if name in ("delete", "delete_image", "unlink", "rmdir", "rmtree"):
            yield name
        text = node.value if isinstance(node, ast.Constant) and id(node) not in documentation else None
        if isinstance(text, str) and (_REMOVES.search(text) or "delete_image" in text):
            yield text
