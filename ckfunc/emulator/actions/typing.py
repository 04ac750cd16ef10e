"""Pass on keystrokes, and publish when users start and stop typing."""

from __future__ import annotations

import asyncio

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.store import channels
from ckfunc.model.user import User
from ckfunc.wire.clients import client_keystrokes

PAUSE_S = 5.0
"""The time without keystrokes after which a user no longer types. The platform documents none; this one is ours."""


class TypingUsers:
    """Users who are typing, each in a thread of a channel. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, int], asyncio.TimerHandle] = {}

    def type(self, context: ActionContext, user: User, channel_id: int, thread_id: int, keys: str) -> None:
        """Pass on a user's keystrokes. Without any, the user has stopped typing."""
        of = f"channels/{channel_id}"
        context.publish(of, "keystrokes", "thread.keystrokes.created", lambda: client_keystrokes(keys, user, thread_id))
        if not keys:
            self.stop(context, user, channel_id)
            return
        key = user.id, channel_id
        running = self._ends.pop(key, None)
        if running is not None:
            running.cancel()
        else:
            _publish(context, user, channel_id, "started")
        self._ends[key] = asyncio.get_running_loop().call_later(PAUSE_S, self.stop, context, user, channel_id)

    def stop(self, context: ActionContext, user: User, channel_id: int) -> None:
        """Publish that a user has stopped typing in a channel, unless the user did not type."""
        running = self._ends.pop((user.id, channel_id), None)
        if running is not None:
            running.cancel()
            _publish(context, user, channel_id, "stopped")

    def close(self) -> None:
        """Forget all users."""
        for running in self._ends.values():
            running.cancel()
        self._ends.clear()


def _publish(context: ActionContext, user: User, channel_id: int, change: str) -> None:
    context.publish_user(f"channels/{channel_id}", "typing", f"thread.typing.{change}", user)
    for member_id in channels.member_ids(context.database, channel_id):
        if member_id != user.id:
            context.publish_user(f"users/{member_id}", "participants", f"participant.typing.{change}", user)
