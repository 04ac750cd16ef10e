"""The emulator's SQLite database: one connection, used by one thread.

Every connection has an SQL function that filters rows by custom properties.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ckfunc.base.clock import SystemClock
from ckfunc.base.documents import matches
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store.trouble import UnusableDatabase, damage, reporting, unusable

T = TypeVar("T")

MATCH_FUNCTION = "properties_match"
"""The name of the SQL function on every connection: (properties, conditions), both JSON, to 1 or 0."""

LOG_BYTES = 4 * 1024 * 1024
"""The size that the write-ahead log keeps; a longer one is due for a checkpoint."""

_CHECKED_BYTES = 4 * 1024 * 1024
"""A database up to this size is checked completely when it is opened, which takes a few milliseconds."""


@frozen
class Condition:
    """The property `name` has one of `values`; objects may have more fields than the given ones."""

    name: str
    values: tuple[Any, ...]


class _Turn:
    """What was written in one turn of the event loop. It lasts until the turn has ended, even if committed before."""

    __slots__ = ("commits", "ended", "failure", "on_settled", "open")

    def __init__(self) -> None:
        self.open = False
        """Whether there is something to commit."""
        self.commits = 0
        self.ended = False
        self.failure: sqlite3.Error | None = None
        self.on_settled: list[Callable[[sqlite3.Error | None], None]] = []

    def settle(self) -> None:
        """Call everyone who waits until what was written so far is committed, or undone."""
        callbacks, self.on_settled = self.on_settled, []
        for callback in callbacks:
            callback(self.failure)


_OUTER = nullcontext()
"""The context of a nested transaction, which is part of the outer one."""


class _NextTurn:
    """Awaited, it resumes the task in the next turn of its event loop."""

    def __await__(self) -> Generator[None]:
        yield


class Database:
    """A connection in autocommit mode. Rows are `sqlite3.Row`: by name, or by position."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self._in_transaction = False
        self._call_soon: Callable[[Callable[[], None]], object] | None = None
        self._turn: _Turn | None = None
        self.on_commit: Callable[[], None] | None = None
        """Called after each commit of transactions and large changes."""
        self.checkpoint: Future[None] | None = None
        """The latest checkpoint that another thread has begun."""
        self._snapshot: tuple[bytes, sqlite3.Connection] | None = None
        self.path: Path | None = None
        """The file; None in memory."""
        self.id = ""
        """A UUID created with the file: identifies this database wherever something is remembered about it."""
        self.now: Callable[[], datetime] = SystemClock().now
        """Returns the time that is stored with new rows, in UTC."""
        self.cache: dict[object, Any] = {}
        """Values of rows that were read before. Code that changes such rows clears it, and so does every rollback."""

    def one(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """Return every row."""
        return self.execute(sql, parameters).fetchall()

    def read_one(self, read: Callable[[sqlite3.Row], T], sql: str, *parameters: Any) -> T | None:
        """Return the first row, converted by `read`, or None."""
        row = self.execute(sql, parameters).fetchone()
        return None if row is None else read(row)

    def value(self, sql: str, *parameters: Any) -> Any:
        """Return the first column of the first row; the row must exist."""
        return self.execute(sql, parameters).fetchone()[0]

    def count(self, sql: str, *parameters: Any) -> int:
        """Return the number in the first column of the first row."""
        return int(self.value(sql, *parameters))

    def column(self, sql: str, *parameters: Any) -> list[Any]:
        """Return the first column of every row."""
        return [row[0] for row in self.execute(sql, parameters)]

    def insert(self, sql: str, *parameters: Any) -> int:
        """Run an INSERT and return the new row's id."""
        row_id = self.execute(sql, parameters).lastrowid
        assert row_id is not None  # noqa: S101 - sqlite3 sets it for every INSERT
        return row_id

    @property
    def changes(self) -> tuple[int, int, str]:
        """A value that differs after each change of the data, by this connection or another one."""
        return self._connection.total_changes, self.value("PRAGMA data_version"), self.id

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing; a nested transaction is part of the outer one. Never await inside."""
        if self._in_transaction:
            yield
            return
        self.commit()
        self._require_intact_turn()
        self.execute("BEGIN IMMEDIATE")
        self._in_transaction = True
        try:
            yield
            self.execute("COMMIT")
            self.committed()
        except BaseException:
            self.cache.clear()
            if self._connection.in_transaction:  # SQLite ends the transaction on its own when the disk is full
                self.execute("ROLLBACK")
            raise
        finally:
            self._in_transaction = False

    # Group commits: the writes of one turn of the event loop in one transaction

    def group_commits(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """Let `grouped` share transactions from now on; `call_soon` is that of the event loop of this thread."""
        self._call_soon = call_soon

    def grouped(self, *, one_write: bool = False) -> AbstractContextManager[None]:
        """Write everything inside, or nothing; commit it with all other writes of this turn of the event loop.

        With `one_write`, only the last statement may write: SQLite undoes a failed statement without a savepoint.
        Nothing may be announced before `stored`. Statements outside of transactions join in. A nested transaction is
        part of the outer one. Never await inside. Without `group_commits`, this is `transaction`.
        """
        if self._in_transaction:
            return _OUTER
        if self._call_soon is None:
            return self.transaction()
        return _Part(self, self._begin_turn(self._call_soon), savepoint=not one_write)

    def _begin_turn(self, call_soon: Callable[[Callable[[], None]], object]) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
            call_soon(self._end_turn)
        return self._turn

    def _require_intact_turn(self) -> None:
        """Raise the turn's failure, if any: `stored` reports it to later writers too, so they must not write."""
        turn = self._turn
        if turn is None:
            return
        if turn.open and not self._connection.in_transaction:  # undone by SQLite in a statement outside of `grouped`
            self.commit()
        if turn.failure is not None:
            raise turn.failure

    def commit(self) -> None:
        """Commit now what the turn has written so far. A failure is raised by `stored`, for all who wrote."""
        turn = self._turn
        if turn is None or not turn.open:
            return
        turn.open = False
        try:
            self.execute("COMMIT")
            turn.commits += 1
            self.committed()
        except sqlite3.Error as error:
            self.cache.clear()
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            turn.failure = error

    def committed(self) -> None:
        """Report a commit. Call it after a statement outside of transactions that changes much."""
        if self.on_commit is not None:
            self.on_commit()

    @property
    def uncommitted(self) -> bool:
        """Whether the turn has written something that is not committed."""
        return self._turn is not None and self._turn.open

    @property
    def failure(self) -> sqlite3.Error | None:
        """Why something that the turn has written is undone."""
        return None if self._turn is None else self._turn.failure

    async def stored(self, *, at_once: bool = False) -> None:
        """Wait until everything that was written is committed; with `at_once`, without waiting for others' writes.

        Call it in the turn of the writes. Raises sqlite3.Error if they could not be committed; then they are undone.
        """
        turn = self._turn
        if turn is None:
            return
        if at_once:
            self.commit()
        commits_before = turn.commits if turn.open or turn.failure is not None else -1
        while turn.open or not (at_once or turn.ended):
            await _NextTurn()
        if turn.failure is not None and turn.commits == commits_before:  # or else only later writes are undone
            raise turn.failure

    def when_stored(self, callback: Callable[[sqlite3.Error | None], None]) -> None:
        """Call back when everything that was written is committed, or with the reason why it is undone."""
        if self._turn is None:
            callback(None)
        else:
            self._turn.on_settled.append(callback)

    def when_settled(self, callback: Callable[[sqlite3.Error | None], None]) -> None:
        """Call back like `when_stored`, but not at once. Needs `group_commits`."""
        if self._call_soon is None:
            raise RuntimeError("turns begin with group_commits")
        self._begin_turn(self._call_soon).on_settled.append(callback)

    def _end_turn(self) -> None:
        turn = self._turn
        if turn is not None:
            self.commit()
            self._turn, turn.ended = None, True
            turn.settle()

    def snapshot(self) -> bytes:
        """Return the whole content of a database in memory."""
        self.commit()
        return self._connection.serialize()

    def restore(self, snapshot: bytes) -> None:
        """Replace the content of a database in memory with a snapshot of it, or of another one."""
        # Not deserialized into this connection itself: that frees the schema which prepared statements (those on STRICT
        # tables) and table-valued functions (json_each) still point into, and SQLite crashes.
        self.commit()
        if self._snapshot is None or self._snapshot[0] is not snapshot:
            self._close_snapshot()
            with ExitStack() as opened:
                source = opened.enter_context(closing(sqlite3.connect(":memory:")))
                source.deserialize(snapshot)
                opened.pop_all()  # most are restored more than once, and this is most of the work
            self._snapshot = snapshot, source
        self._snapshot[1].backup(self._connection)
        self.replaced()

    def read_from(self, source: Path) -> None:
        """Replace the content of a database in memory with that of a file."""
        self.commit()
        with closing(sqlite3.connect(source)) as origin:
            origin.backup(self._connection)
        self.replaced()

    def write_to(self, target: Path) -> None:
        """Copy the content of a database in memory to a file."""
        self.commit()
        with closing(sqlite3.connect(target)) as copy:
            self._connection.backup(copy)

    def replaced(self) -> None:
        """Read the id again, after the content was replaced."""
        self.cache.clear()
        self.id = self.value("SELECT id FROM emulator")

    def close(self) -> None:
        """Write everything to the file and close it."""
        self._end_turn()
        self._close_snapshot()
        self._connection.close()

    def _close_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot[1].close()
            self._snapshot = None


class _Part:
    """The context of `Database.grouped`: a part of the transaction of a turn.

    A class takes a fraction of the time of `contextmanager`.
    """

    __slots__ = ("_database", "_first", "_savepoint", "_turn")

    def __init__(self, database: Database, turn: _Turn, *, savepoint: bool) -> None:
        self._database = database
        self._turn = turn
        self._savepoint = savepoint
        self._first = False

    def __enter__(self) -> None:
        if not self._turn.open:  # everything before is committed
            self._turn.settle()  # which may write
        self._database._require_intact_turn()
        self._first = not self._turn.open
        if self._first:
            self._savepoint = False
            self._database.execute("BEGIN IMMEDIATE")
        elif self._savepoint:
            self._database.execute("SAVEPOINT part")
        self._turn.open = self._database._in_transaction = True

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._database._in_transaction = False
        if error is not None:
            self._undo(error)
        elif self._savepoint:
            try:
                self._database.execute("RELEASE part")
            except sqlite3.Error as failure:
                self._undo(failure)
                raise

    def _undo(self, error: BaseException) -> None:
        self._database.cache.clear()
        if not self._database._connection.in_transaction:  # SQLite has undone the turn, as when the disk is full
            self._turn.open = False
            self._turn.failure = error if isinstance(error, sqlite3.Error) else self._turn.failure
        elif self._first:
            self._database.execute("ROLLBACK")
            self._turn.open = False
        elif self._savepoint:
            self._database.execute("ROLLBACK TO part")
            self._database.execute("RELEASE part")


def open_database(path: Path | None, schema: Sequence[str], migrations: Sequence[str] = ()) -> Database:
    """Open the file at `path` (None: in memory), created with `schema` if it is new. Raises UnusableDatabase.

    `schema` is SQL of the newest version, one script per family; each of `migrations` brings a file to the next
    version, the first one from version 1. The connection belongs to the calling thread.
    """
    with reporting(path), ExitStack() as opened:
        if path is not None and not path.exists():
            path.touch(mode=0o600)  # it will hold the environment's secrets
        connection = sqlite3.connect(path or ":memory:", isolation_level=None, cached_statements=512)
        opened.callback(connection.close)
        database = prepared(connection, path, schema, migrations)
        opened.pop_all()
    database.path = path
    return database


def connect(path: Path) -> Database:
    """Return another connection to a database that is already open; it belongs to the calling thread."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    _set_up(connection)
    database = Database(connection)
    database.path = path
    return database


_PRAGMAS = (
    "busy_timeout = 60000",
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "wal_autocheckpoint = 4000",
    f"journal_size_limit = {LOG_BYTES}",
    "foreign_keys = ON",
)


def _set_up(connection: sqlite3.Connection) -> None:
    # NORMAL in WAL mode loses nothing if the process dies, however it dies; only a power failure can undo writes.
    # An import writes for up to a few seconds, in which nobody else can.
    # Deleted space can be returned in small steps (see `steps`); this applies to files created with it.
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function(MATCH_FUNCTION, 2, properties_match, deterministic=True)


def prepared(
    connection: sqlite3.Connection, path: Path | None, schema: Sequence[str], migrations: Sequence[str]
) -> Database:
    """Set up a new connection: create or migrate the tables. Raises UnusableDatabase and sqlite3.DatabaseError."""
    connection.row_factory = sqlite3.Row
    _set_up(connection)
    database = Database(connection)
    version = database.value("PRAGMA user_version")
    newest = len(migrations) + 1
    if version > newest:
        raise UnusableDatabase(
            f"the emulator's database {path} was made by a newer ckfunc "
            f"(its format is {version}, this one knows {newest})",
            hint="upgrade ckfunc",
        )
    if version == 0 and database.one("SELECT 1 FROM sqlite_master") is not None:
        raise unusable(path, damage("it belongs to another program, or its format is unknown"))
    if path is not None and version:
        _check(database, path)
    if version < newest:
        with database.transaction():
            if version == 0:
                database.execute("CREATE TABLE emulator (id TEXT NOT NULL) STRICT")
                database.execute("INSERT INTO emulator VALUES (?)", (str(uuid.uuid4()),))
            for script in migrations[version - 1 :] if version else schema:
                for statement in script.split(";"):  # our SQL has no semicolon in a trigger or text
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {newest}")
    row = database.one("SELECT id FROM emulator")
    if row is None:
        raise unusable(path, damage("it has no id"))
    database.id = row[0]
    return database


def _check(database: Database, path: Path) -> None:
    """Check for damage, where that is quick. Raises DamagedDatabase."""
    pages, size = database.value("PRAGMA page_count"), database.value("PRAGMA page_size")
    if pages * size <= _CHECKED_BYTES:
        result = database.value("PRAGMA quick_check(1)")
        if result != "ok":
            raise unusable(path, damage(" ".join(str(result).split())))


def write_conditions(conditions: Sequence[Condition]) -> str:
    """Return conditions as the SQL function takes them."""
    return json.dumps([asdict(condition) for condition in conditions])


def properties_match(properties: str, conditions: str) -> bool:
    """Return whether all conditions match; the SQL function."""
    try:
        have = json.loads(properties)
    except ValueError:  # a damaged row: reading it reports the damage
        return True
    return all(
        condition["name"] in have
        and any(matches(value, have[condition["name"]], subset=True) for value in condition["values"])
        for condition in _read_conditions(conditions)
    )


@lru_cache(maxsize=16)
def _read_conditions(conditions: str) -> list[Any]:
    read: list[Any] = json.loads(conditions)
    return read
