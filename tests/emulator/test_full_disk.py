"""Requests and runs while the database cannot be written, and afterwards."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.loopback import http_client

from ckfunc.base.files import cache_dir
from ckfunc.emulator.data_directory import UnusableDirectory
from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.store import application, functions, invocations, users
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.store.steps import run
from ckfunc.emulator.store.trouble import trouble_with
from ckfunc.model.application import ConsoleLine, NewFunction, Status
from ckfunc.model.chat import NewUser
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerVersion, Outcome

SERVE = """
import resource
import sys
from pathlib import Path
from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
Emulator(Path(sys.argv[1]), cache=cache_dir()).run_forever(lambda url: print(url, flush=True))
"""


class Verbatim:
    """A compiler that returns every script unchanged."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled, ...]:
        return tuple(Compiled(name, source, "{}", "cjs") for name, source in scripts)


class Filling:
    """Hosts that fill the database during a run and return a result that does not fit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def invoke(
        self,
        environment: Environment,
        version: HandlerVersion,
        event: Mapping[str, Any],
        on_console: Callable[[ConsoleLine], None] | None = None,
        *,
        label: str = "",
        determinism: Determinism | None = None,
    ) -> Outcome:
        if event.get("full"):
            self._database.execute(f"PRAGMA max_page_count = {self._database.value('PRAGMA page_count')}")
        return Outcome(f'"{"x" * 100_000}"', None)

    async def prepare(self, environment: Environment, versions: Sequence[HandlerVersion]) -> None:
        """Prepare nothing."""


def statuses(database: Database) -> list[Status]:
    return [item.status for item in invocations.page(database, 1, PageRequest(0, 100, "id ASC")).items]


def test_a_run_that_ends_while_the_disk_is_full_is_stored_once_there_is_space(tmp_path: Path) -> None:
    lines: list[str] = []

    async def scenario(database: Database) -> None:
        hosts = Filling(database)
        dispatcher = Dispatcher(
            database,
            hosts=hosts,
            compiler=Verbatim(),
            base_url="http://127.0.0.1",
            keep_invocations=1000,
            on_event=lines.append,
        )
        run = await dispatcher.run("some.event", {"full": True})
        assert run is not None
        assert run.invocation.status is Status.SUCCEEDED
        assert statuses(database) == [Status.RUNNING]
        assert "the end of run 1 cannot be stored yet: database or disk is full" in lines
        database.execute("PRAGMA max_page_count = 1000000")
        await dispatcher.run("some.event", {})
        assert statuses(database) == [Status.SUCCEEDED, Status.SUCCEEDED]
        await dispatcher.close()

    database = open_database(tmp_path / "emulator.db", SCHEMA)
    application.create_if_missing(database)
    functions.create(database, NewFunction("some.event", "Some Event"))
    functions.add_version(database, 1, "function handleEvent() {}")
    asyncio.run(scenario(database))
    database.close()


def test_a_disk_without_shared_memory_or_locks_is_named(tmp_path: Path) -> None:
    for name in ("SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_LOCK"):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
        trouble = trouble_with(tmp_path / "emulator.db", error)
        assert trouble is not None
        assert "does not support shared memory or locks" in trouble.reason and trouble.hint


def test_a_change_that_does_not_fit_is_rolled_back_and_the_next_one_succeeds(tmp_path: Path) -> None:
    database = open_database(tmp_path / "emulator.db", SCHEMA)
    database.execute(f"PRAGMA max_page_count = {database.value('PRAGMA page_count')}")
    with pytest.raises(Exception, match="full") as caught, database.transaction():
        users.create(database, NewUser("ann", "ann"))
        users.create(database, NewUser("bob", "bob", properties={"x": "y" * 100_000}))
    trouble = trouble_with(tmp_path / "emulator.db", caught.value)
    assert trouble is not None
    assert trouble.sentence == "No space left on device; free up space on the disk and run the command again"
    database.execute("PRAGMA max_page_count = 1000000")
    with database.transaction():
        users.create(database, NewUser("cid", "cid"))
    assert [item.name for item in run(users.page(database, PageRequest(0, 10, "id ASC"))).items] == ["cid"]
    database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of a process's files")
def test_a_write_to_a_full_disk_is_a_500_with_the_reason_and_reads_still_succeed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with http_client(url) as client:
        grant = {"grant_type": "client_credentials"}
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data=grant).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        made = 0
        while (
            answer := client.post(
                "/v1/users",
                json={"name": f"user {made}", "displayName": "x", "properties": {"text": "y" * 20_000}},
            )
        ).status_code == 200:
            made += 1
        assert answer.status_code == 500
        assert answer.json()["error"] == "StorageError"
        assert re.search("disk", answer.json()["explanation"])
        assert "reset" not in answer.json()["explanation"]
        assert client.get("/v1/users?size=1").json()["page"]["totalElements"] == made > 0
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_data_directory_that_cannot_be_created_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnusableDirectory, match=r"the data directory .* cannot be used: ") as caught:
        Emulator(tmp_path / "file" / "data", cache=cache_dir()).start()
    assert caught.value.hint
