"""Which rows of the feature list are proven by which tests.

    python -m tests.architecture.test_features

prints every row with the number of test functions that name it in `@pytest.mark.feature(...)`.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# How many rows each area of the feature list has; ids are never used anew.
ROWS = {
    "ACC": 11,
    "CAT": 16,
    "INV": 12,
    "ORD": 7,
    "PAY": 8,
    "SYN": 16,
    "SEA": 8,
    "OPS": 7,
    "GAT": 7,
    "CON": 2,
}
# What the system does so far; a row that comes to be is added here.
PROVEN = (
    *(f"ACC-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 10)),
    *(f"CAT-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9)),
    *(f"INV-{number}" for number in (1, 2, 3, 5, 6)),
    *(f"ORD-{number}" for number in (1, 2, 3, 5, 6)),
    *(f"PAY-{number}" for number in (1, 2, 3, 4, 5, 8)),
    *(f"SEA-{number}" for number in (1, 2, 3, 4, 5, 6, 8)),
    *(f"GAT-{number}" for number in (1, 2, 3, 5, 6, 7)),
    "OPS-5",
)


def every_row() -> Iterator[str]:
    for area, count in ROWS.items():
        yield from (f"{area}-{number}" for number in range(1, count + 1))


def marked(decorators: Iterable[ast.expr]) -> set[str]:
    """The rows that `pytest.mark.feature(...)` names among these expressions, or in a list of them."""
    calls = [call for each in decorators for call in ast.walk(each) if isinstance(call, ast.Call)]
    features = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "feature"]
    return {str(argument.value) for call in features for argument in call.args if isinstance(argument, ast.Constant)}


def rows_of(source: str) -> Iterator[set[str]]:
    """For every test function of a module, the rows it proves: its own, its class's, its module's."""
    module = ast.parse(source)
    marks = [each.value for each in module.body if isinstance(each, ast.Assign) and _is_pytestmark(each)]
    yield from _rows_in(module.body, marked(marks))


def _rows_in(body: Iterable[ast.stmt], above: set[str]) -> Iterator[set[str]]:
    for each in body:
        if isinstance(each, ast.ClassDef):
            yield from _rows_in(each.body, above | marked(each.decorator_list))
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
            yield above | marked(each.decorator_list)


def _is_pytestmark(assignment: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in assignment.targets)


def counted() -> Counter[str]:
    """How many test functions name each row."""
    return Counter(
        row for file in sorted(TESTS.rglob("test_*.py")) for rows in rows_of(file.read_text("utf-8")) for row in rows
    )


def test_every_marker_names_a_row_of_the_list() -> None:
    assert sorted(counted().keys() - set(every_row())) == []


def test_every_row_the_system_claims_is_proven() -> None:
    assert set(PROVEN) - counted().keys() == set()


def test_marks_of_module_class_and_function_count_together() -> None:
    source = """
pytestmark = [pytest.mark.feature("ACC-1"), pytest.mark.timeout(600)]
@pytest.mark.feature("GAT-1", "GAT-2")
async def test_a(): ...
@pytest.mark.feature("OPS-5")
class TestB:
    def test_b(self): ...
def helper(): ...
"""
    assert list(rows_of(source)) == [{"ACC-1", "GAT-1", "GAT-2"}, {"ACC-1", "OPS-5"}]
    with pytest.raises(SyntaxError):
        list(rows_of("def test_("))


if __name__ == "__main__":
    counts = counted()
    for row in every_row():
        print(f"{row:8}{counts[row] or '–':>5}{'' if row in PROVEN else '   (not claimed as a whole)'}")  # noqa: T201
