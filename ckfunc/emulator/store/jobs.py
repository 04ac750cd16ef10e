"""Import and export jobs, and the rows of analytics exports.

The platform documents no format for analytics. Ours has a row for each message, or for each user.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, Sorting, select_page
from ckfunc.model.job import Job, JobState, JobType
from ckfunc.model.page import Page

# `failure` is the reason why a job FAILED: the platform has no field for it, so only the emulator's controls show it.
SCHEMA = """
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  file TEXT,
  failure TEXT,
  created_time TEXT NOT NULL,
  ended_time TEXT
) STRICT;
CREATE INDEX jobs_running ON jobs (id) WHERE ended_time IS NULL
"""

SORTING = Sorting.of("jobs", "id", "type", "state", "created_time", "ended_time")


class JobFailed(Exception):
    """A job cannot be done. The message explains the reason to the user who sent its file."""


def create(database: Database, kind: JobType) -> Job:
    """Store a pending job."""
    now = timestamp(database.now())
    sql = "INSERT INTO jobs (type, state, created_time) VALUES (?, ?, ?)"
    job_id = database.insert(sql, kind.value, JobState.PENDING.value, now)
    return Job(job_id, kind, JobState.PENDING, parse_timestamp(now))


def begin(database: Database, job_id: int) -> None:
    """Store that a job runs."""
    database.execute("UPDATE jobs SET state = ? WHERE id = ?", (JobState.RUNNING.value, job_id))


def finish(database: Database, job_id: int, file: str | None = None) -> None:
    """Store that a job has finished. Must be called in the transaction of its work, so that both are stored."""
    database.execute(
        "UPDATE jobs SET state = ?, file = ?, ended_time = ? WHERE id = ?",
        (JobState.FINISHED.value, file, timestamp(database.now()), job_id),
    )


def fail(database: Database, job_id: int, reason: str) -> None:
    """Store that a job failed."""
    database.execute(
        "UPDATE jobs SET state = ?, failure = ?, ended_time = ? WHERE id = ?",
        (JobState.FAILED.value, reason, timestamp(database.now()), job_id),
    )


def fail_abandoned(database: Database, reason: str) -> None:
    """Fail the jobs that were interrupted by the end of an emulator."""
    for row in database.all("SELECT id FROM jobs WHERE ended_time IS NULL"):
        fail(database, row["id"], reason)


def get(database: Database, job_id: int) -> Job | None:
    """Return a job, or None."""
    return database.read_one(_read, "SELECT * FROM jobs WHERE id = ?", job_id)


def failure(database: Database, job_id: int) -> str | None:
    """Return the reason why a job FAILED, or None if it did not."""
    message: str | None = database.value("SELECT failure FROM jobs WHERE id = ?", job_id)
    return message


def page(database: Database, request: PageRequest, *, running: bool) -> Page[Job]:
    """Return a page of the jobs that have ended, or of those that have not."""
    source = f"jobs WHERE ended_time IS {'' if running else 'NOT '}NULL"
    return select_page(database, "*", source, (), request=request, read=_read)


def _read(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        type=JobType(row["type"]),
        state=JobState(row["state"]),
        created_time=parse_timestamp(row["created_time"]),
        ended_time=None if row["ended_time"] is None else parse_timestamp(row["ended_time"]),
        file=row["file"],
    )


def message_analytics(database: Database) -> Iterator[dict[str, Any]]:
    """Yield a row about each message, without its text, oldest first."""
    yield from _rows(
        database,
        "SELECT messages.id, messages.type, messages.channel_id AS channelId, channels.name AS channelName,"
        " messages.user_id AS userId, users.name AS username, messages.created_time AS createdTime,"
        " messages.last_edited_time AS lastEditedTime, length(messages.body) AS characters,"
        " (SELECT count(*) FROM read_receipts WHERE message_id = messages.id) AS readReceipts"
        " FROM messages JOIN channels ON channels.id = messages.channel_id"
        " LEFT JOIN users ON users.id = messages.user_id ORDER BY messages.id",
    )


def user_analytics(database: Database) -> Iterator[dict[str, Any]]:
    """Yield a row about each user's activity, oldest first."""
    yield from _rows(
        database,
        "SELECT users.id, users.name, users.display_name AS displayName, users.created_time AS createdTime,"
        " (SELECT count(*) FROM channel_members WHERE user_id = users.id) AS channels,"
        " (SELECT count(*) FROM messages WHERE user_id = users.id) AS messages,"
        " (SELECT count(*) FROM user_sessions WHERE user_id = users.id) AS sessions,"
        " (SELECT created_time FROM messages WHERE id ="
        " (SELECT max(id) FROM messages WHERE user_id = users.id)) AS lastMessageTime"
        " FROM users ORDER BY users.id",
    )


def _rows(database: Database, sql: str) -> Iterator[dict[str, Any]]:
    for row in database.execute(sql):
        yield dict(zip(row.keys(), row, strict=True))
