"""Databases of the emulator in older formats."""

from __future__ import annotations

import sqlite3

_SINCE_FIRST = (
    "DROP TABLE file_parts",
    "DROP TABLE files",
    "CREATE TABLE files (key TEXT PRIMARY KEY, name TEXT NOT NULL, content_type TEXT NOT NULL,"
    " created_time TEXT NOT NULL, content BLOB NOT NULL) STRICT",
    "DROP INDEX user_sessions_by_token",
    "ALTER TABLE user_sessions DROP COLUMN token",
    "ALTER TABLE message_reports DROP COLUMN reason",
    "ALTER TABLE message_reports DROP COLUMN properties",
    "DROP TABLE channel_preferences",
    "DROP TABLE hidden_messages",
    "DROP TABLE user_blocks",
    "DROP TABLE channel_blocks",
    "DROP TABLE import_steps",
    "DROP TABLE typing",
    "DROP TABLE ended_invocations",
    "ALTER TABLE invocation_details DROP COLUMN status",
    "ALTER TABLE invocation_details DROP COLUMN result",
    "CREATE UNIQUE INDEX invocations_counted ON invocations (function_id, ordinal)",
    "CREATE INDEX invocations_running ON invocations (id) WHERE status = 'RUNNING'",
    "ALTER TABLE invocation_details DROP COLUMN calls",
    "ALTER TABLE invocation_details DROP COLUMN calls_omitted",
    "PRAGMA user_version = 1",
)


def make_first_format(database: sqlite3.Connection) -> None:
    """Take an empty database of the newest format back to the first one."""
    for statement in _SINCE_FIRST:
        database.execute(statement)
