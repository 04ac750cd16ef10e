"""The vendor's chat clients, unmodified, hold a conversation in Node."""

from __future__ import annotations

import pytest
from realtime.clients import CLIENTS, ChatClient, Conversation
from realtime.table import FILE, run, section, table

# In a parallel run, one worker runs all of these tests, so that each client runs once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("realtime-clients"), pytest.mark.timeout(400)]

SDKS = pytest.mark.parametrize("client", CLIENTS, ids=str)


@pytest.fixture(scope="module")
def conversations() -> dict[ChatClient, Conversation]:
    return {conversation.client: conversation for conversation in run()}


@SDKS
def test_every_method_and_callback_of_a_client_works(
    conversations: dict[ChatClient, Conversation], client: ChatClient
) -> None:
    found = conversations[client]
    assert found.failures == ()
    assert found.problems() == {}


@SDKS
def test_every_method_of_a_client_is_called(conversations: dict[ChatClient, Conversation], client: ChatClient) -> None:
    assert sum(not verdict.callback for verdict in conversations[client].verdicts) == client.methods


def test_the_table_in_the_documentation_is_up_to_date(conversations: dict[ChatClient, Conversation]) -> None:
    assert section(FILE.read_text(encoding="utf-8")) == table(list(conversations.values())), "see realtime.table"
