"""What goes on in the background is nobody's request."""

import pytest
import structlog

from shared import background

pytestmark = pytest.mark.feature("GAT-5")


async def test_a_task_for_many_carries_no_requests_id() -> None:
    async def seen() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    with structlog.contextvars.bound_contextvars(request_id="of-whoever-came-first"):
        assert "request_id" not in await background.begin(seen())
        assert "request_id" in await seen()
