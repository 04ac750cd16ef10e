"""Tables of a new database, and migrations of older ones."""

from __future__ import annotations

from ckfunc.emulator.store import (
    application,
    blocks,
    channels,
    files,
    functions,
    invocations,
    jobs,
    memberships,
    messages,
    notifications,
    preferences,
    reactions,
    receipts,
    runtime,
    sessions,
    staging,
    threads,
    typing,
    users,
)

SCHEMA: tuple[str, ...] = (
    application.SCHEMA,
    runtime.SCHEMA,
    runtime.COMPILED_SCHEMA,
    functions.SCHEMA,
    invocations.SCHEMA,
    files.SCHEMA,
    users.SCHEMA,
    channels.SCHEMA,
    memberships.SCHEMA,
    threads.SCHEMA,
    messages.SCHEMA,
    reactions.SCHEMA,
    receipts.SCHEMA,
    notifications.SCHEMA,
    sessions.SCHEMA,
    users.SECRETS_SCHEMA,
    jobs.SCHEMA,
    staging.SCHEMA,
    staging.STEPS_ADDED,
    preferences.SCHEMA,
    blocks.SCHEMA,
    typing.SCHEMA,
)

_CLIENTS_ADDED = ";".join((sessions.TOKENS_ADDED, messages.REASONS_ADDED, preferences.SCHEMA, blocks.SCHEMA))

MIGRATIONS: tuple[str, ...] = (invocations.CALLS_ADDED, staging.STEPS_ADDED, _CLIENTS_ADDED, typing.SCHEMA)
"""SQL that brings a database from one version of its format to the next: the first script from 1 to 2, and so on."""
