"""Pass on keystrokes, and publish when users start and stop typing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.store import channels, history
from ckfunc.model.chat import User
from ckfunc.wire.clients import client_keystrokes

PAUSE_S = 5.0
"""The time without keystrokes after which a user no longer types. The platform documents none; this one is ours."""


class PendingCall(Protocol):
    """A call in the future."""

    def cancel(self) -> None:
        """Make sure that the call does not happen."""


class TypingUsers:
    """Users who are typing, each in a thread of a channel. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.call_later: Callable[..., PendingCall] | None = None
        """Calls a function with arguments after some seconds. Default: that of the event loop."""
        self._ends: dict[tuple[int, int], PendingCall] = {}

    @property
    def user_ids(self) -> Collection[int]:
        """The ids of the users who are typing."""
        return {user_id for user_id, _ in self._ends}

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
            history.begin_typing(context.database, user.id, channel_id)
            _publish(context, user, channel_id, "started")
        call_later = self.call_later or asyncio.get_running_loop().call_later
        self._ends[key] = call_later(PAUSE_S, self.stop, context, user, channel_id)

    def stop(self, context: ActionContext, user: User, channel_id: int) -> None:
        """Publish that a user has stopped typing in a channel, unless the user did not type."""
        running = self._ends.pop((user.id, channel_id), None)
        if running is not None:
            running.cancel()
            history.end_typing(context.database, user.id, channel_id)
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
