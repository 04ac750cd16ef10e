"""Functions with runs, for the pages of the dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

Deploy = Callable[..., int]
KEY = re.compile(r'data-form-key="([^"]+)"')


@pytest.fixture
def deploy(client: httpx.Client) -> Deploy:
    """Deploy versions of a function, and return its id."""

    def deployed(trigger_type: str, *scripts: str) -> int:
        made = client.post("/v1/runtimes/nodejs/functions", json={"type": trigger_type, "name": trigger_type}).json()
        for script in scripts:
            answer = client.post(f"/v1/functions/{made['id']}/versions", json={"handlerScript": script})
            assert answer.status_code == 200, answer.text
        return int(made["id"])

    return deployed


@pytest.fixture
def form_key(anyone: httpx.Client) -> str:
    """The key that the dashboard's pages send with their forms."""
    found = KEY.search(anyone.get("/").text)
    assert found is not None
    return found[1]
