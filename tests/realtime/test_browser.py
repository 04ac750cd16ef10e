"""The vendor's chat clients, unmodified, hold a conversation in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from realtime.browsers import converse_in_browser
from realtime.clients import CLIENTS, ChatClient
from realtime.world import world


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_every_method_and_callback_of_a_client_works_in_a_browser(client: ChatClient, tmp_path: Path) -> None:
    with world(tmp_path) as inhabited:
        found = converse_in_browser(client, inhabited)
    assert found.failures == ()
    assert found.problems() == {}
