"""Tables of a new database, and migrations of older ones."""

from __future__ import annotations

from ckfunc.emulator.store import (
    application,
    channels,
    conversations,
    files,
    functions,
    history,
    imports,
    invocations,
    jobs,
    memberships,
    messages,
    notifications,
    reading,
    sessions,
    users,
)

SCHEMA: tuple[str, ...] = (
    application.SCHEMA,
    functions.COMPILED_SCHEMA,
    functions.SCHEMA,
    invocations.SCHEMA,
    files.SCHEMA,
    users.SCHEMA,
    channels.SCHEMA,
    memberships.SCHEMA,
    channels.THREADS_SCHEMA,
    messages.SCHEMA,
    reading.REACTIONS_SCHEMA,
    reading.RECEIPTS_SCHEMA,
    notifications.SCHEMA,
    sessions.SCHEMA,
    users.SECRETS_SCHEMA,
    jobs.SCHEMA,
    imports.SCHEMA,
    imports.STEPS_SCHEMA,
    conversations.SCHEMA,
    memberships.BLOCKS_SCHEMA,
    history.TYPING_SCHEMA,
)

_CLIENTS_ADDED = ";".join(
    (sessions.TOKENS_ADDED, messages.REASONS_ADDED, conversations.SCHEMA, memberships.BLOCKS_SCHEMA)
)

MIGRATIONS: tuple[str, ...] = (
    invocations.CALLS_ADDED,
    imports.STEPS_SCHEMA,
    _CLIENTS_ADDED,
    history.TYPING_SCHEMA,
    files.PARTS_ADDED,
)
"""SQL that brings a database from one version of its format to the next: the first script from 1 to 2, and so on."""
