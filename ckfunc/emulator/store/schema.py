"""Which tables a new database gets: the families' own, in the order in which they refer to each other."""

from __future__ import annotations

from ckfunc.emulator.store import (
    application,
    channels,
    files,
    functions,
    invocations,
    jobs,
    messages,
    moderation,
    notifications,
    reactions,
    receipts,
    runtime,
    scripts,
    sessions,
    staging,
    threads,
    user_secrets,
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
    moderation.SCHEMA,
    threads.SCHEMA,
    messages.SCHEMA,
    reactions.SCHEMA,
    receipts.SCHEMA,
    notifications.SCHEMA,
    sessions.SCHEMA,
    user_secrets.SCHEMA,
    jobs.SCHEMA,
    staging.SCHEMA,
    staging.STEPS_ADDED,
)

MIGRATIONS: tuple[str, ...] = (invocations.CALLS_ADDED, staging.STEPS_ADDED)
"""SQL that takes a database from one version of its format to the next: the first script from 1 to 2, and so on."""
