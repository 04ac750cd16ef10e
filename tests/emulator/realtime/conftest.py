"""Clients of two users in a channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.stomp import client_of
from support.talk import Talk

from ckfunc.emulator.emulator import Emulator


@pytest.fixture
def talk(emulator: Emulator) -> Iterator[Talk]:
    with ExitStack() as opened:
        ann, bob = (opened.enter_context(client_of(emulator.url, name)) for name in ("ann", "bob"))
        new = {"type": "PRIVATE", "name": "tea", "members": [{"username": "bob"}]}
        channel = ann.do(ann.user["_actions"]["createChannel"], new)
        seen = bob.event("user.channel.joined")
        ann.open_chat(channel)
        bob.open_chat(seen)
        ann.events()
        bob.events()
        yield Talk(ann, bob, channel, seen)
