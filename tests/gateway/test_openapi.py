"""OpenAPI is complete: every operation named, secured, with examples and refusals, and nothing left hanging."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter, ValidationError
from starlette.routing import Mount, Route

from deploy import topology
from gateway.app import create_app
from gateway.openapi import api_routes, complete, operations
from gateway.parameters import takes_fields

pytestmark = pytest.mark.feature("GAT-1")


@pytest.fixture(scope="module")
def app() -> Any:
    return create_app(None, rights=topology.rights())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document(app: Any) -> dict[str, Any]:
    return app.openapi()


def versioned(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return (each for each in operations(document) if each[1].startswith("/v1/"))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    missing = {each for each in references(document) if each.rsplit("/", 1)[1] not in document["components"]["schemas"]}
    assert not missing
    schemes = {name for _, _, each in operations(document) for choice in each.get("security", ()) for name in choice}
    assert schemes <= set(document["components"]["securitySchemes"])


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = Counter(operation["operationId"] for _, _, operation in operations(document))
    assert [name for name, count in names.items() if count > 1] == []
    assert all(name.isidentifier() and name[0].isupper() and "_" not in name for name in names)


def test_every_operation_says_what_it_does_and_where_it_belongs(document: dict[str, Any]) -> None:
    silent = [f"{method} {path}" for method, path, each in versioned(document) if not each.get("description")]
    assert silent == []
    assert [f"{method} {path}" for method, path, each in versioned(document) if not each.get("tags")] == []


def test_every_operation_says_how_it_is_refused(document: dict[str, Any]) -> None:
    for method, path, operation in versioned(document):
        expected = {"400", "401", "403", "422", "429", "503", "504"} | ({"404"} if "{" in path else set())
        assert expected <= set(operation["responses"]), f"{method} {path}"
        for status in expected:
            [media_type] = operation["responses"][status]["content"]
            assert media_type == "application/problem+json", f"{method} {path} {status}"
        assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for method, path, operation in versioned(document):
        has_key = any(each["name"] == "Idempotency-Key" for each in operation["parameters"])
        assert has_key is (method == "POST"), f"{method} {path}"


def test_every_body_and_answer_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in versioned(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            assert {"example", "examples"} & set(media), f"{method} {path}"


def test_the_examples_of_bodies_are_accepted(app: Any, document: dict[str, Any]) -> None:
    """Whoever copies an example gets past the form; whether it fits the data is another matter."""
    wrong = {}
    for route in api_routes(app):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if route.body_field is not None and "example" in media:
                try:
                    TypeAdapter(route.body_field.field_info.annotation).validate_python(media["example"])
                except ValidationError as error:
                    wrong[f"{method} {route.path}"] = str(error)
    assert wrong == {}


def test_it_is_the_same_document_every_time(app: Any) -> None:
    assert complete(app, (), topology.rights()) == complete(app, (), topology.rights())


# --- every route, also those that FastAPI does not know

# Files that pages load, and this document itself.
NOT_OPERATIONS = {
    "/openapi.json",
    "/docs/start.js",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/console/password-resets.js",
}
# What a mount takes; it has no routes to look into.
MOUNTED = {"/callbacks": [("POST", "/callbacks/{gateway_id}"), ("GET", "/callbacks/{gateway_id}")]}


def every_route(app: Any) -> Iterator[tuple[str, str]]:
    """Method and path of everything the application answers."""
    for route in api_routes(app):
        yield from ((method, route.path_format) for method in route.methods or ())
    for route in app.routes:
        if isinstance(route, Mount):
            yield from MOUNTED[route.path]
        elif isinstance(route, Route) and not isinstance(route, APIRoute):
            methods = (route.methods or set()) - {"HEAD"}
            yield from ((method, route.path_format) for method in methods)


@pytest.fixture(scope="module")
def whole_app() -> Any:
    return topology.web_application()


@pytest.fixture(scope="module")
def whole(whole_app: Any) -> dict[str, Any]:
    return whole_app.openapi()


def test_every_route_is_in_it_and_nothing_else(whole_app: Any, whole: dict[str, Any]) -> None:
    there = {(method, path) for method, path in every_route(whole_app) if path not in NOT_OPERATIONS}
    assert len(there) > 100
    assert there == {(method, path) for method, path, _ in operations(whole)}


def test_every_operation_has_examples_and_says_how_it_fails(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        name = f"{method} {path}"
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), name
        assert any(status.startswith(("4", "5")) for status in answers), name
        bodies = [operation.get("requestBody", {}), *answers.values()]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            assert {"example", "examples"} & set(media), name
        # An answer without content is a promise that there is none.
        silent = {status for status, answer in answers.items() if status == "200" and not answer.get("content")}
        assert not silent or path == "/oauth/revoke", name


def test_the_examples_of_an_operation_are_its_own(whole: dict[str, Any]) -> None:
    errors = {
        status: whole["paths"]["/oauth/token"]["post"]["responses"][status]["content"]["application/json"]["example"]
        for status in ("400", "401", "429")
    }
    assert len({each["error_description"] for each in errors.values()}) == 3
    unready = whole["paths"]["/readyz"]["get"]["responses"]["503"]["content"]["application/json"]["example"]
    assert unready["status"] == "unavailable"


def test_it_is_valid_openapi_3_1(whole: dict[str, Any]) -> None:
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in OpenAPIV31SpecValidator(whole).iter_errors()
    ]
    assert problems == []


def test_every_example_is_what_its_schema_says(whole: dict[str, Any]) -> None:
    wrong, looked_at = {}, 0
    for method, path, operation in operations(whole):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for where, body in bodies.items():
            for media_type, media in body.get("content", {}).items():
                looked_at += 1
                schema = {**media["schema"], "components": whole["components"]}
                errors = [error.message for error in Draft202012Validator(schema).iter_errors(media["example"])]
                if errors:
                    wrong[f"{method} {path} {where} {media_type}"] = errors
    assert looked_at > 1000
    assert wrong == {}


def test_every_route_that_takes_json_says_that_it_takes_nothing_else(whole: dict[str, Any]) -> None:
    silent = [
        f"{method} {path}"
        for method, path, operation in versioned(whole)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        and "415" not in operation["responses"]
    ]
    assert silent == []


def test_whoever_reads_with_a_tag_is_told_of_304(whole: dict[str, Any]) -> None:
    for method, path, operation in versioned(whole):
        if method == "GET" and "ETag" in operation["responses"]["200"].get("headers", {}):
            assert "304" in operation["responses"], path
            assert any(each["name"] == "If-None-Match" for each in operation["parameters"]), path
    for path in ("/v1/shops/{shop_code}/offers", "/v1/shops/{shop_code}/offers/{slug}"):
        assert "304" in whole["paths"][path]["get"]["responses"]


def test_every_read_of_objects_takes_fields(whole_app: Any, whole: dict[str, Any]) -> None:
    for route in api_routes(whole_app):
        if route.path.startswith("/v1/") and "GET" in (route.methods or ()):
            parameters = whole["paths"][route.path_format]["get"].get("parameters", [])
            is_documented = any(each["name"] == "fields" for each in parameters)
            assert is_documented is takes_fields(route), route.path
    for path in ("/v1/shops/{shop_code}/offers", "/v1/shops/{shop_code}/offers/{slug}"):
        assert any(each["name"] == "fields" for each in whole["paths"][path]["get"]["parameters"])


def test_every_scope_that_is_enough_is_a_choice_of_its_own(whole: dict[str, Any]) -> None:
    """Of one choice all scopes are needed (OpenAPI 3.1 §4.8.30); of ours any is enough."""
    known = whole["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"]
    for method, path, operation in operations(whole):
        named = [choice["oauth2"] for choice in operation.get("security", ()) if choice.get("oauth2")]
        assert all(len(scopes) == 1 and scopes[0] in known for scopes in named), f"{method} {path}"
    offers = whole["paths"]["/v1/shops/{shop_code}/offers"]["get"]["security"]
    assert {"publishableKey": []} in offers
    assert {"oauth2": ["storefront"]} in offers
