"""docker-compose.yml and the Dockerfile name nothing that the code does not have. No container engine is needed."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings
from typer.main import get_command

import gateway
import services
import shared
from deploy import cli, health, topology
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PARTS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: part for name, part in PARTS.items() if part["image"].startswith("crossdock:")}
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()


def _variables() -> set[str]:
    """Every variable that some settings class or command reads."""
    found = {variable for command in get_command(cli.app).commands.values() for variable in _of_command(command)}  # type: ignore[attr-defined]
    for package in (shared, services, gateway):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".settings") or module.name == "gateway.identity":
                importlib.import_module(module.name)
    for kind in _subclasses(BaseSettings):
        found |= {str(field.validation_alias) for field in kind.model_fields.values() if field.validation_alias}
    return found


def _of_command(command: Any) -> set[str]:
    named = [option.envvar for option in command.params if option.envvar]
    return {name for each in named for name in ([each] if isinstance(each, str) else each)}


def _subclasses(kind: type[BaseSettings]) -> list[type[BaseSettings]]:
    return [each for below in kind.__subclasses__() for each in (below, *_subclasses(below))]


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    known = get_command(cli.app).commands[command]  # type: ignore[attr-defined]
    context = known.make_context(command, list(arguments), resilient_parsing=False) if command != "migrate" else None
    if context is not None:
        whats = {"serve": ("web", "gateway", *topology.SERVICES), "work": ("all", *topology.SERVICES)}[command]
        assert context.params["what"] in whats


def test_every_service_has_a_container_that_answers_and_one_that_works() -> None:
    commands = [part["command"][:2] for part in OURS.values()]
    wanted = [["migrate"], ["serve", "gateway"]]
    wanted += [[verb, service] for service in topology.SERVICES for verb in ("serve", "work")]
    assert sorted(commands) == sorted(wanted)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_read_by_the_code(name: str) -> None:
    assert set(OURS[name]["environment"]) <= _variables()


def test_the_settings_of_every_container_are_complete_and_valid() -> None:
    required = {str(field.validation_alias) for field in Settings.model_fields.values() if field.is_required()}
    for name, part in OURS.items():
        if name != "migrate":
            assert required <= set(part["environment"]), name
            Settings(**part["environment"])


def test_secrets_come_from_the_environment_alone() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+):\?\}", text))
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) == used
    example = (ROOT / "deploy" / "docker" / "example.env").read_text()
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) == used
    assert {"POSTGRES_PASSWORD", "CROSSDOCK_APP_PASSWORD", "REDIS_PASSWORD", "CROSSDOCK_SECRET_KEY"} <= used


@pytest.mark.parametrize("name", [name for name in OURS if name != "migrate"])
def test_health_is_asked_where_it_is_told(name: str) -> None:
    part = OURS[name]
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", part["healthcheck"]["test"][-1])
    assert asked is not None
    port, path = asked.groups()
    if name == "gateway":
        arguments = part["command"]
        assert port == arguments[arguments.index("--port") + 1]
        assert part["ports"] == [f"{port}:{port}"]
        paths = set(topology.gateway_application().openapi()["paths"])
    else:
        assert part["environment"]["CROSSDOCK_HEALTH_ADDRESS"] == f"0.0.0.0:{port}"
        assert part["expose"] == [port]
        paths = {route.path for route in health.health_application({}, None).routes}  # type: ignore[arg-type, attr-defined]
    assert path in paths


def test_what_a_container_waits_for_exists_and_can_come_about() -> None:
    for part in PARTS.values():
        for other, wanted in part.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in PARTS[other]
            else:
                assert (wanted["condition"], PARTS[other]["restart"]) == ("service_completed_successfully", "no")


def test_addresses_in_urls_are_containers_and_their_ports() -> None:
    for part in OURS.values():
        for value in part["environment"].values():
            for host, port in re.findall(r"@([a-z]+):(\d+)", str(value)):
                assert (host in PARTS, port) == (True, {"postgres": "5432", "redis": "6379"}[host])


def test_images_are_pinned_and_nothing_of_ours_runs_as_root() -> None:
    images = {part["image"] for part in PARTS.values()} | set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    for image in images:
        assert re.search(r":\d+\.\d+(\.\d+)?(-[\w-]+)?$", image), image
    assert {part["user"] for part in OURS.values()} == {"10001:10001"}
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert PARTS["redis"]["user"] == "999:999"


def test_the_image_is_built_from_what_is_here() -> None:
    assert (ROOT / PARTS["migrate"]["build"]["dockerfile"]).is_file()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
    assert 'ENTRYPOINT ["crossdock"]' in DOCKERFILE
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert "--hash=sha256:" in (ROOT / "requirements.lock").read_text()


def test_mounted_volumes_are_declared_and_hold_what_the_settings_name() -> None:
    for name, part in PARTS.items():
        for mount in part.get("volumes", []):
            volume = mount.split(":")[0]
            assert volume.startswith("/") or volume in COMPOSE["volumes"], name
    for name, part in OURS.items():
        if name != "migrate":
            places = {mount.split(":")[-1] for mount in part["volumes"]}
            environment = part["environment"]
            assert {environment["CROSSDOCK_DATA"], environment["CROSSDOCK_BLOB_URL"].removeprefix("file://")} == places
