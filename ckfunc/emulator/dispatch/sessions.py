"""Whether a client may start a session: asks the function for it, and else the guest setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.emulator.dispatch.dispatcher import Dispatcher, Run
from ckfunc.emulator.store import application, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.execution import Steady
from ckfunc.model.function import ConsoleLine
from ckfunc.model.user import User

START_SESSION = "user.attempted.start_session"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a session may start; `reason` says why not, `user` is who starts it, `run` is the function's, if any."""

    allowed: bool
    reason: str | None
    user: User | None
    run: Run | None


async def attempt_start_session(
    database: Database,
    dispatcher: Dispatcher,
    event: Mapping[str, Any],
    *,
    on_console: Callable[[ConsoleLine], None] | None = None,
    steady: Steady | None = None,
) -> Decision:
    """Decide about a session of the event's `username`, before there is one.

    `on_console` and `steady` are as the dispatcher's `run` takes them.

    A throw of the function denies it. Then the user must exist, or is made as a guest where guests are allowed
    (after a function that did not make the user, that is inferred).
    """
    run = await dispatcher.run(START_SESSION, event, on_console=on_console, steady=steady)
    username = event["username"]
    if run is not None and run.outcome.error is not None:
        return Decision(False, run.outcome.error.message, None, run)
    user = users.find_by_name(database, username)
    if user is None and application.settings(database).guest_users:
        user = users.create(database, name=username, display_name=username, is_guest=True)
    if user is None:
        return Decision(False, f"there is no user {username!r}, and guest users are disabled", None, run)
    return Decision(True, None, user, run)
