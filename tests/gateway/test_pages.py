"""The page behind a one-time link: it is there, it is closed to everything else, and it posts where the API listens."""

import re

import pytest

from tests.doors import Client

pytestmark = pytest.mark.feature("ACC-7")


async def test_the_page_of_a_one_time_link_is_there_and_lets_nothing_else_in(client: Client) -> None:
    page = await client.get("/console/password-resets")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in page.text, "inline scripts are refused by the policy"


async def test_its_script_posts_to_a_path_that_exists(client: Client) -> None:
    page = (await client.get("/console/password-resets")).text
    [source] = re.findall(r'src="([^"]+)"', page)
    script = (await client.get(source)).text
    [path] = re.findall(r'fetch\("([^"]+)"', script)
    answer = await client.post(path, json={"token": "of-nobody", "password": "a long enough password"})
    assert answer.status_code in (404, 410, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
