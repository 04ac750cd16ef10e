"""Group commits: the writes of one turn of the event loop in one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from emulator.test_dispatch import deploy
from emulator.test_killed import Killable
from support.loopback import http_client

from ckfunc.emulator.store import application, functions, users
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.model.application import NewFunction
from ckfunc.model.chat import NewUser

DANGLING = "INSERT INTO invocation_details (invocation_id, console, duration_ms) VALUES (99, '[]', 0.0)"
"""A row of a run that does not exist: with deferred foreign keys, only the commit fails."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "emulator.db", SCHEMA)) as opened:
        application.create_if_missing(opened)
        yield opened


def in_a_loop(database: Database, scenario: Callable[[], Awaitable[None]]) -> None:
    async def begun() -> None:
        database.group_commits(asyncio.get_running_loop().call_soon)
        await scenario()

    asyncio.run(begun())


def names(path: Path | None) -> list[str]:
    """Return the users that are visible to another connection."""
    assert path is not None
    with closing(sqlite3.connect(path, timeout=5)) as other:
        return [row[0] for row in other.execute("SELECT name FROM users ORDER BY id")]


async def add(database: Database, name: str, seen: list[list[str]]) -> None:
    with database.grouped():
        users.create(database, NewUser(name, name))
    seen.append(names(database.path))
    await database.stored()
    seen.append(names(database.path))


def test_writes_of_one_turn_become_visible_together_before_their_writers_continue(database: Database) -> None:
    seen: list[list[str]] = []

    async def scenario() -> None:
        await asyncio.gather(add(database, "ann", seen), add(database, "bob", seen))

    in_a_loop(database, scenario)
    assert seen == [[], [], ["ann", "bob"], ["ann", "bob"]]


def test_a_failed_write_of_a_turn_is_rolled_back_and_the_others_are_stored(database: Database) -> None:
    async def failing() -> None:
        with pytest.raises(ZeroDivisionError), database.grouped():
            users.create(database, NewUser("bob", "bob"))
            raise ZeroDivisionError
        await database.stored()

    async def scenario() -> None:
        await asyncio.gather(failing(), add(database, "ann", []), failing(), add(database, "cid", []))

    in_a_loop(database, scenario)
    assert names(database.path) == ["ann", "cid"]


def test_a_failed_commit_is_reported_to_every_writer_and_the_next_turn_succeeds(database: Database) -> None:
    reported: list[sqlite3.Error | None] = []

    async def dangling() -> None:
        with database.grouped():
            database.execute("PRAGMA defer_foreign_keys = ON")
            database.execute(DANGLING)
        database.when_stored(reported.append)
        await database.stored()

    async def scenario() -> None:
        results = await asyncio.gather(add(database, "ann", []), dangling(), return_exceptions=True)
        assert [type(result) for result in results] == [sqlite3.IntegrityError, sqlite3.IntegrityError]
        assert reported == [results[1]]
        await add(database, "bob", [])

    in_a_loop(database, scenario)
    assert names(database.path) == ["bob"]


@pytest.mark.parametrize("part", [True, False], ids=["a part", "a statement outside of transactions"])
def test_a_turn_rolled_back_by_sqlite_is_reported_to_every_writer_and_stores_nothing(
    database: Database, part: bool
) -> None:
    async def undone() -> None:
        with database.grouped() if part else nullcontext():
            database.execute("INSERT OR ROLLBACK INTO users SELECT * FROM users")

    async def later() -> None:
        with database.transaction():
            users.create(database, NewUser("dan", "dan"))

    async def scenario() -> None:
        writers = [add(database, "ann", []), undone(), add(database, "cid", []), later()]
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert all(isinstance(result, sqlite3.Error) for result in results), results
        await add(database, "bob", [])

    in_a_loop(database, scenario)
    assert names(database.path) == ["bob"]


def test_what_a_turn_has_committed_is_not_reported_as_undone(database: Database) -> None:
    async def committing() -> None:
        with database.transaction():
            users.create(database, NewUser("bob", "bob"))

    async def undone() -> None:
        with database.grouped():
            database.execute("INSERT OR ROLLBACK INTO users SELECT * FROM users")

    async def scenario() -> None:
        writers = [add(database, "ann", []), committing(), add(database, "cid", []), undone()]
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), type(None), *[sqlite3.IntegrityError] * 2]

    in_a_loop(database, scenario)
    assert names(database.path) == ["ann", "bob"]


@pytest.mark.parametrize("first", [True, False], ids=["first of its turn", "after another one"])
def test_a_single_write_that_fails_leaves_those_of_others(database: Database, first: bool) -> None:
    users.create(database, NewUser("ann", "ann"))

    async def duplicate() -> None:
        with pytest.raises(sqlite3.IntegrityError), database.grouped(one_write=True):
            users.create(database, NewUser("ann", "ann"))
        await database.stored()

    async def scenario() -> None:
        writers = [duplicate(), add(database, "bob", [])]
        await asyncio.gather(*(writers if first else reversed(writers)))

    in_a_loop(database, scenario)
    assert names(database.path) == ["ann", "bob"]


@pytest.mark.parametrize("undone_by", ["a transaction", "a part of a turn", "a commit", "SQLite"])
def test_a_function_is_read_again_when_its_change_is_undone(database: Database, undone_by: str) -> None:
    functions.create(database, NewFunction("user.sent.message", "N"))
    before = functions.find_by_type(database, "user.sent.message")

    def enable() -> None:
        function = functions.find_by_type(database, "user.sent.message")
        assert function is not None
        functions.set_enabled(database, function.id, True)
        changed = functions.find_by_type(database, "user.sent.message")
        assert changed is not None
        assert changed.enabled

    async def scenario() -> None:
        with suppress(sqlite3.Error, ZeroDivisionError):
            with database.transaction() if undone_by == "a transaction" else database.grouped():
                enable()
                if undone_by == "a commit":
                    database.execute("PRAGMA defer_foreign_keys = ON")
                    database.execute(DANGLING)
                elif undone_by == "SQLite":
                    database.execute("INSERT OR ROLLBACK INTO functions SELECT * FROM functions")
                else:
                    raise ZeroDivisionError
            await database.stored()
        assert functions.find_by_type(database, "user.sent.message") == before

    in_a_loop(database, scenario)
    assert functions.find_by_type(database, "user.sent.message") == before


def test_a_separate_transaction_starts_after_the_writes_of_the_turn_are_stored(database: Database) -> None:
    async def scenario() -> None:
        with database.grouped():
            users.create(database, NewUser("ann", "ann"))
        with pytest.raises(ZeroDivisionError), database.transaction():
            users.create(database, NewUser("bob", "bob"))
            raise ZeroDivisionError
        assert names(database.path) == ["ann"]
        with database.transaction():
            users.create(database, NewUser("cid", "cid"))
        assert names(database.path) == ["ann", "cid"]
        await database.stored()

    in_a_loop(database, scenario)


def test_commit_callbacks_run_before_the_next_write_of_the_turn_and_may_write(database: Database) -> None:
    seen: list[list[str]] = []

    def write(failure: sqlite3.Error | None) -> None:
        assert failure is None
        seen.append(names(database.path))
        with database.grouped():
            users.create(database, NewUser("cid", "cid"))

    async def scenario() -> None:
        with database.grouped():
            users.create(database, NewUser("ann", "ann"))
        database.when_stored(write)
        with database.transaction():
            users.create(database, NewUser("bob", "bob"))
        assert seen == []
        with database.grouped():
            users.create(database, NewUser("dan", "dan"))
        assert seen == [["ann", "bob"]]
        await database.stored()

    in_a_loop(database, scenario)
    assert names(database.path) == ["ann", "bob", "cid", "dan"]


def test_an_immediate_commit_does_not_wait_for_the_end_of_the_turn(database: Database) -> None:
    async def scenario() -> None:
        with database.grouped():
            users.create(database, NewUser("ann", "ann"))
        turns: list[str] = []
        asyncio.get_running_loop().call_soon(turns.append, "next")
        await database.stored(at_once=True)
        assert turns == []
        assert names(database.path) == ["ann"]

    in_a_loop(database, scenario)


def test_closing_the_database_stores_the_writes_of_an_unfinished_turn(tmp_path: Path) -> None:
    database = open_database(tmp_path / "closed.db", SCHEMA)
    database.group_commits(lambda _end: None)
    with database.grouped():
        users.create(database, NewUser("ann", "ann"))
    database.close()
    assert names(tmp_path / "closed.db") == ["ann"]


def press(client: httpx.Client, answered: list[int]) -> None:
    """Trigger events until the emulator is killed, and record the confirmed runs."""
    while True:
        try:
            run = client.post("/emulator/trigger", json={"type": "user.sent.message", "data": {}}).json()
        except httpx.HTTPError:
            return
        answered.append(run["invocation"]["id"])


def test_every_confirmed_run_is_stored_when_the_emulator_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    emulator = Killable(data)
    answered: list[int] = []
    with http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        deploy(client, "user.sent.message", "function handleEvent() {}")
        callers = [threading.Thread(target=press, args=(client, answered)) for _ in range(8)]
        for caller in callers:
            caller.start()
        while len(answered) < 40:
            threading.Event().wait(0.001)
        emulator.kill()
        for caller in callers:
            caller.join()
    with closing(sqlite3.connect(data / "emulator.db")) as database:
        stored = dict(database.execute("SELECT invocation_id, status FROM invocation_details"))
    assert {stored[invocation_id] for invocation_id in answered} == {"SUCCEEDED"}
