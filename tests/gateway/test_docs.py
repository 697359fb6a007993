"""The pages for people: they need no other host, and say where everything is."""

import re

import pytest
from graphql import build_schema

from tests.doors import Client

pytestmark = pytest.mark.feature("GAT-1")
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/", "/docs", "/graphql"])
async def test_a_page_names_no_other_host_and_lets_none_in(client: Client, path: str) -> None:
    page = await client.get(path, headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    sources = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page.text)
    assert all(source.startswith("/") or source == "data:," for source in sources), sources
    assert "<script>" not in page.text, "inline scripts are refused by the policy"


async def test_the_first_page_leads_everywhere(client: Client) -> None:
    page = await client.get("/", headers=HTML)
    linked = set(re.findall(r'<a href="([^"]+)"', page.text))
    told = await client.get("/", headers={"Accept": "*/*"})
    assert (told.status_code, told.headers["content-type"]) == (200, "application/json")
    assert set(told.json()["links"].values()) == linked == {"/docs", "/openapi.json", "/graphql", "/healthz"}
    for path in linked:
        assert (await client.get(path, headers=HTML)).status_code == 200, path
    assert page.headers["vary"] == told.headers["vary"] == "Accept"
    headed = await client.head("/", headers=HTML)
    assert (headed.status_code, headed.headers["content-type"], headed.content) == (
        200,
        "text/html; charset=utf-8",
        b"",
    )


async def test_everything_the_page_loads_is_there(client: Client) -> None:
    page = (await client.get("/docs")).text
    needed = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert {"/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js", "/openapi.json"} <= set(needed)
    for path in needed:
        answer = await client.get(path)
        assert answer.status_code == 200, path
    assert b"SwaggerUIBundle" in (await client.get("/docs/swagger-ui-bundle.js")).content


async def test_who_has_a_file_is_told_so(client: Client) -> None:
    first = await client.get("/docs/swagger-ui.css")
    again = await client.get("/docs/swagger-ui.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.feature("GAT-2")
async def test_the_schema_is_there_as_a_file(client: Client) -> None:
    page = (await client.get("/graphql", headers=HTML)).text
    assert "/graphql/schema.graphql" in page
    answer = await client.get("/graphql/schema.graphql")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "offers" in build_schema(answer.text).query_type.fields  # type: ignore[union-attr]


@pytest.mark.feature("GAT-2")
async def test_a_browser_that_asks_something_gets_an_answer(client: Client) -> None:
    asked = await client.get("/graphql", params={"query": "{ __typename }"}, headers={"Accept": "*/*"})
    assert asked.json()["data"] == {"__typename": "Query"}
    nothing = await client.get("/graphql", headers={"Accept": "application/json"})
    assert nothing.status_code == 400


@pytest.mark.feature("GAT-5")
async def test_pages_are_counted_by_their_path(client: Client) -> None:
    await client.get("/docs")
    await client.get("/graphql/schema.graphql")
    text = (await client.get("/metrics")).text
    for path in ("/docs", "/graphql/schema.graphql"):
        assert f'route="{path}",status="200"' in text
