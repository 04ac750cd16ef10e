"""Which tables a new database gets: the families' own, in the order in which they refer to each other."""

from __future__ import annotations

from ckfunc.emulator.store import (
    application,
    channels,
    files,
    functions,
    invocations,
    messages,
    notifications,
    runtime,
    scripts,
    users,
)

SCHEMA: tuple[str, ...] = (
    application.SCHEMA,
    runtime.SCHEMA,
    scripts.SCHEMA,
    functions.SCHEMA,
    invocations.SCHEMA,
    files.SCHEMA,
    users.SCHEMA,
    channels.SCHEMA,
    messages.SCHEMA,
    notifications.SCHEMA,
)
