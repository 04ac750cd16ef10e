"""Checkpoints of the write-ahead log on a separate thread."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import SCHEMA, Checkpoints, log_of
from ckfunc.model.chat import NewUser


def rows_in_the_file_alone(path: Path, copy: Path) -> int:
    """Return the number of users in the database file, without its write-ahead log."""
    copy.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(copy)) as database:
        found: int = database.execute("SELECT count(*) FROM users").fetchone()[0]
    return found


def test_commits_reach_the_database_file_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    database = open_database(path, SCHEMA)
    checkpoints = Checkpoints(database, path)
    for number in range(1000):
        with database.transaction():
            users.create(database, NewUser(f"user {number}", f"user {number}"))
    checkpoints.close()
    assert rows_in_the_file_alone(path, tmp_path / "copy.db") >= 100
    database.close()


def test_the_log_begins_again_while_commits_follow_without_a_pause(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    database = open_database(path, SCHEMA)
    checkpoints = Checkpoints(database, path)
    user = users.create(database, NewUser("user", "user"))
    longest_bytes = 0
    for number in range(500):
        with database.transaction():
            database.execute("UPDATE users SET display_name = ? WHERE id = ?", (f"{number}" * 100_000, user.id))
        longest_bytes = max(longest_bytes, log_of(path).stat().st_size)
    checkpoints.close()
    database.close()
    assert longest_bytes < 70 * 1024 * 1024  # 140 MiB were written; a checkpoint takes longer on a busy machine


def test_a_database_that_cannot_be_checkpointed_still_commits(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    database = open_database(path, SCHEMA)
    checkpoints = Checkpoints(database, tmp_path / "missing" / "emulator.db")
    for number in range(300):
        with database.transaction():
            users.create(database, NewUser(f"user {number}", f"user {number}"))
    checkpoints.close()
    with database.transaction():
        users.create(database, NewUser("after the end", "after the end"))
    assert database.value("SELECT count(*) FROM users") == 301
    database.close()
