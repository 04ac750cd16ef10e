"""Two clients who talk in a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.stomp import StompClient


@dataclass
class Talk:
    """Ann's private channel with bob, as each of them sees it; both have it open."""

    ann: StompClient
    bob: StompClient
    channel: dict[str, Any]
    bobs: dict[str, Any]

    def say(self, text: str, **more: Any) -> dict[str, Any]:
        """Send a message as ann, and receive it as bob."""
        sent = self.ann.do(self.channel["_actions"]["message"], {"type": "TEXT", "body": text, **more})
        while self.bob.event("channel.message.created") != sent:
            pass
        return dict(sent)
