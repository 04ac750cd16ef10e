"""Runs of functions: the platform's list, and details for our own tools."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.documents import json_reader, json_writer
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import (
    CursorRequest,
    PageRequest,
    containing,
    search_cursor_page,
    select_by_ids,
    select_cursor_page,
    select_page_by_id,
    where,
)
from ckfunc.emulator.store.steps import ROWS
from ckfunc.model.application import ApiCall, ConsoleLine, Invocation, InvocationDetail, Status
from ckfunc.model.execution import HandlerError, Outcome
from ckfunc.model.page import CursorPage, Page

SCHEMA = """
CREATE TABLE invocations (
  id INTEGER PRIMARY KEY,
  function_id INTEGER NOT NULL REFERENCES functions (id),
  ordinal INTEGER NOT NULL,
  version_number INTEGER NOT NULL,
  args TEXT NOT NULL,
  status TEXT NOT NULL,
  result TEXT NOT NULL,
  created_time TEXT NOT NULL
) STRICT;
CREATE INDEX invocations_of_function ON invocations (function_id, id);
CREATE TABLE invocation_details (
  invocation_id INTEGER PRIMARY KEY REFERENCES invocations (id),
  status TEXT,
  console TEXT NOT NULL,
  duration_ms REAL NOT NULL,
  calls TEXT NOT NULL DEFAULT '[]',
  calls_omitted INTEGER NOT NULL DEFAULT 0,
  result TEXT
) STRICT;
CREATE TABLE ended_invocations (last INTEGER NOT NULL) STRICT;
INSERT INTO ended_invocations VALUES (0)
"""
"""A run is a row when it begins, and a row of details when it ends: each page that a commit changes costs time.

Its status and result are in its details, unless it ended before the seventh version of the format. `status` precedes
the long columns, because SQLite reads all columns before the requested one. All runs up to `ended_invocations.last`
have ended.
"""

CALLS_ADDED = """
ALTER TABLE invocation_details ADD COLUMN calls TEXT NOT NULL DEFAULT '[]';
ALTER TABLE invocation_details ADD COLUMN calls_omitted INTEGER NOT NULL DEFAULT 0
"""
"""Migrates a database from version 1 to 2."""

RESULTS_ADDED = """
ALTER TABLE invocation_details ADD COLUMN status TEXT;
ALTER TABLE invocation_details ADD COLUMN result TEXT;
CREATE TABLE ended_invocations (last INTEGER NOT NULL) STRICT;
INSERT INTO ended_invocations SELECT coalesce(
  (SELECT min(id) - 1 FROM invocations WHERE status = 'RUNNING'), (SELECT max(id) FROM invocations), 0);
DROP INDEX invocations_counted;
DROP INDEX invocations_running
"""
"""Migrates a database whose runs change when they end. Their statuses and results stay where they are."""

_text = json_writer(ensure_ascii=False)
_document = json_reader(json.JSONDecoder())

_DETAILS = "invocation_id, console, duration_ms, calls, calls_omitted, status, result"
STATUS = "coalesce(invocation_details.status, invocations.status)"
"""SQL of a run's status."""

_RESULT = "coalesce(invocation_details.result, invocations.result)"
_COLUMNS = f"id, version_number, {STATUS}, args, {_RESULT}, created_time"
_RUNS = "invocations LEFT JOIN invocation_details ON invocation_id = id"


def begin(database: Database, function_id: int, version_number: int, args: Mapping[str, Any]) -> Invocation:
    """Add a run that begins now. It may start when the database has `stored` it."""
    now = database.now()
    with database.grouped(one_write=True):
        invocation_id = database.insert(
            "INSERT INTO invocations (function_id, ordinal, version_number, args, status, result, created_time) VALUES"
            " (?, coalesce((SELECT ordinal FROM invocations WHERE function_id = ? ORDER BY id DESC LIMIT 1), 0) + 1,"
            " ?, ?, 'RUNNING', '{}', ?)",
            function_id,
            function_id,
            version_number,
            _text(args),
            timestamp(now),
        )
    return Invocation(invocation_id, version_number, Status.RUNNING, args, {}, now)


def end(
    database: Database, invocation_id: int, outcome: Outcome, calls: Sequence[ApiCall] = (), calls_omitted: int = 0
) -> None:
    """Write the result of a run, and its API requests. It may be announced when the database has `stored` it."""
    console = json.dumps([[line.level, line.text] for line in outcome.console]) if outcome.console else "[]"
    with database.grouped(one_write=True):
        database.execute(
            f"INSERT INTO invocation_details ({_DETAILS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (
                invocation_id,
                console,
                outcome.duration_ms,
                _calls_text(calls) if calls else "[]",
                calls_omitted,
                outcome.status.value,
                _result(outcome),
            ),
        )


def set_calls(database: Database, invocation_id: int, calls: Sequence[ApiCall], calls_omitted: int) -> None:
    """Store the API requests of a run that has ended, including later ones."""
    database.execute(
        "UPDATE invocation_details SET calls = ?, calls_omitted = ? WHERE invocation_id = ?",
        (_calls_text(calls), calls_omitted, invocation_id),
    )


def has_no_calls(database: Database, invocation_id: int) -> bool:
    """Return whether a run has ended without API requests."""
    row = database.one("SELECT calls = '[]' FROM invocation_details WHERE invocation_id = ?", invocation_id)
    return row is not None and bool(row[0])


_NOTE_ENDED = f"""
UPDATE ended_invocations SET last = coalesce(
  (SELECT id - 1 FROM {_RUNS} WHERE id > last AND invocation_id IS NULL ORDER BY id LIMIT 1),
  (SELECT max(id) FROM invocations),
  0)
"""  # noqa: S608 - a constant


def end_abandoned(database: Database, reason: HandlerError) -> int:
    """Fail all runs that an earlier process left RUNNING, and return their number."""
    outcome = Outcome(None, reason)
    with database.transaction():
        count = database.execute(
            f"INSERT INTO invocation_details ({_DETAILS}) SELECT id, '[]', 0.0, '[]', 0, ?, ? FROM {_RUNS}"  # noqa: S608
            " WHERE id > (SELECT last FROM ended_invocations) AND invocation_id IS NULL",
            (outcome.status.value, _result(outcome)),
        ).rowcount
        database.execute(_NOTE_ENDED)
    return count


def page(database: Database, function_id: int, request: PageRequest) -> Page[Invocation]:
    """Return a page of a function's runs."""

    def read(ids: Sequence[int]) -> dict[int, Invocation]:
        return {row["id"]: _invocation(row) for row in select_by_ids(database, _COLUMNS, _RUNS, ids)}

    return select_page_by_id(
        database,
        "invocations",
        f"{_RUNS} WHERE function_id = ?",
        (function_id,),
        request=request,
        read=read,
        # Only the oldest runs are deleted: the first and last ordinal give the count without walking an index.
        total=database.value(_COUNT, function_id, function_id),
    )


_COUNT = (
    "SELECT coalesce((SELECT ordinal FROM invocations WHERE function_id = ? ORDER BY id DESC LIMIT 1)"
    " - (SELECT ordinal FROM invocations WHERE function_id = ? ORDER BY id LIMIT 1) + 1, 0)"
)


@frozen
class FunctionRun:
    """A run, with the id and type of its function."""

    function_id: int
    type: str
    invocation: Invocation


@frozen
class RunFilter:
    """Filters of runs; None does not restrict. `query` is a text in the event or the result, case-insensitive."""

    function_id: int | None = None
    status: Status | None = None
    version_number: int | None = None
    query: str | None = None


def runs(
    database: Database, request: CursorRequest, run_filter: RunFilter
) -> Generator[None, None, CursorPage[FunctionRun]]:
    """Return a page of the runs of all functions, newest first. Statuses and texts are searched in small steps."""
    condition, parameters = where(("function_id = ?", run_filter.function_id))
    source, read = f"{_RUNS} WHERE {condition}", partial(_function_runs, database)
    columns = f"{_COLUMNS}, function_id"
    if run_filter.query is None and run_filter.status is None and run_filter.version_number is None:
        return select_cursor_page(database, columns, source, parameters, request=request, read=read)
    version = "TRUE" if run_filter.version_number is None else f"version_number = {run_filter.version_number:d}"
    searching = search_cursor_page(
        database,
        columns,
        source,
        parameters,
        condition=f"{_STATUS_IS[run_filter.status]} AND {version} AND args || {_RESULT} LIKE ? ESCAPE '!'",
        value=containing(run_filter.query or ""),
        request=request,
        read=read,
    )
    return (yield from searching)


_STATUS_IS: Mapping[Status | None, str] = {
    None: "TRUE",
    **{status: f"{STATUS} = '{status.value}'" for status in Status},
}


def run(database: Database, invocation_id: int) -> FunctionRun | None:
    """Return a run with its function, or None."""
    sql = f"SELECT {_COLUMNS}, function_id FROM {_RUNS} WHERE id = ?"  # noqa: S608 - a constant
    return next(iter(_function_runs(database, database.all(sql, invocation_id))), None)


def latest_statuses(database: Database, function_id: int, most: int) -> list[tuple[datetime, Status]]:
    """Return when the latest runs of a function began, and their statuses, newest first."""
    sql = f"SELECT created_time, {STATUS} FROM {_RUNS} WHERE function_id = ? ORDER BY id DESC LIMIT ?"  # noqa: S608
    return [(parse_timestamp(row[0]), Status(row[1])) for row in database.all(sql, function_id, most)]


def _function_runs(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[FunctionRun, ...]:
    functions = select_by_ids(database, "id, type", "functions", (row["function_id"] for row in rows))
    types = {row["id"]: row["type"] for row in functions}
    return tuple(FunctionRun(row["function_id"], types[row["function_id"]], _invocation(row)) for row in rows)


def prune(database: Database, keep: int) -> bool:
    """Delete at most ROWS runs older than the last `keep`, and return whether there may be more."""
    with database.transaction():
        old = database.column(
            "SELECT invocation_id FROM invocation_details WHERE invocation_id <= (SELECT max(id) FROM invocations) - ?"
            " ORDER BY invocation_id LIMIT ?",
            keep,
            ROWS,
        )
        if old:
            ids = json.dumps(old)
            for sql in (
                "DELETE FROM invocation_details WHERE invocation_id IN (SELECT value FROM json_each(?))",
                "DELETE FROM invocations WHERE id IN (SELECT value FROM json_each(?))",
            ):
                database.execute(sql, (ids,))
        database.execute(_NOTE_ENDED)
    return len(old) == ROWS


def details(database: Database, ids: list[int]) -> list[InvocationDetail]:
    """Return the details of the existing runs among `ids`, sorted by id. A run in progress has no duration."""
    rows = database.all(
        f"SELECT id, console, duration_ms, calls, calls_omitted FROM {_RUNS}"  # noqa: S608 - a constant
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        json.dumps(ids),
    )
    return [
        InvocationDetail(
            row[0],
            tuple(ConsoleLine(*line) for line in json.loads(row[1] or "[]")),
            row[2],
            tuple(ApiCall(*call) for call in json.loads(row[3] or "[]")),
            row[4] or 0,
        )
        for row in rows
    ]


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome in the platform's format."""
    result: dict[str, Any] = _document(_result(outcome))
    return result


def _calls_text(calls: Sequence[ApiCall]) -> str:
    return json.dumps([[call.method, call.path, call.body, call.status] for call in calls])


def _result(outcome: Outcome) -> str:
    if outcome.error is None:
        return f'{{"payload": {outcome.payload_json or "null"}}}'
    error = {"name": outcome.error.name, "message": outcome.error.message, "stack": outcome.error.stack}
    return _text({"error": error})


def _invocation(row: sqlite3.Row) -> Invocation:
    return Invocation(row[0], row[1], Status(row[2]), json.loads(row[3]), json.loads(row[4]), parse_timestamp(row[5]))
