"""Who may import whom (pyproject.toml, [tool.importlinter]), checked on every run."""

import graphlib
from pathlib import Path

import grimp
from importlinter.api import read_configuration
from importlinter.cli import lint_imports as run_contracts

from deploy.topology import SERVICES

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_contract_is_kept(capsys: object) -> None:
    assert run_contracts(config_filename=str(PYPROJECT), no_cache=True) == 0, capsys.readouterr().out  # type: ignore[attr-defined]


def test_shared_has_no_cycle_of_modules() -> None:
    graph = grimp.build_graph("shared", cache_dir=None)
    modules = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    order = tuple(graphlib.TopologicalSorter(modules).static_order())
    assert "shared.contracts.base" in order


def test_every_service_stands_under_the_contracts() -> None:
    """A new service must be added to the floors."""
    contracts = {each["id"]: each for each in read_configuration(str(PYPROJECT))["contracts_options"]}
    assert {f"services.{name}" for name in SERVICES} == set(contracts["floors"]["containers"])
