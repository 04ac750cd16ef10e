"""Deletions, imports, seeds and searches of much data in small steps, and retention of invocations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from support.calls import answered, ended, function, send
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.emulator.data import seed_data
from ckfunc.emulator.jobs import Attempt, Jobs
from ckfunc.emulator.store import channels, deletion, imports, jobs, messages, paging, seeds, steps, users
from ckfunc.emulator.store.database import Condition, Database, connect, open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.emulator.store.steps import Steps, Turn, run
from ckfunc.model.chat import ChannelType
from ckfunc.model.job import ChannelImport, JobType, MemberImport, MessageImport, UserImport
from ckfunc.model.page import Cursor, Relation
from ckfunc.wire.jobs import read_seed

MANY = 3000
PEOPLE = {"users": [{"name": "ann"}, {"name": "bob"}], "channels": [{"name": "p", "members": ["ann", "bob"]}]}


@pytest.fixture
def full(tmp_path: Path) -> Database:
    """A database with many messages by ann, all replies to the first, and a notification of bob for each."""
    seed_data(tmp_path, read_seed(PEOPLE))
    database = connect(tmp_path / "emulator.db")
    database.execute(
        "INSERT INTO messages (channel_id, user_id, parent_id, type, body, nested_level, properties, created_time)"
        " WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
        " SELECT 1, 1, CASE n WHEN 1 THEN NULL ELSE 1 END, 'TEXT', printf('%0900d', n), 0, '{}', '2022-01-31' FROM n",
        (MANY,),
    )
    database.execute(
        "INSERT INTO notifications (user_id, type, channel_id, message_id, title, body, muted, created_time)"
        " SELECT 2, 'USER:SENT:MESSAGE', 1, id, '', '', 0, '2022-01-31' FROM messages"
    )
    return database


def rows(database: Database) -> list[int]:
    return [database.value(f"SELECT count(*) FROM {table}") for table in ("messages", "notifications")]


@pytest.mark.parametrize("what", ["all", "channel", "user", "message"])
def test_no_step_of_a_deletion_deletes_more_than_a_few_hundred_rows(full: Database, what: str) -> None:
    user = users.get(full, 1)
    assert user is not None
    deleting = {
        "all": lambda: deletion.delete_messages(full),
        "channel": lambda: deletion.delete_channel(full, 1),
        "user": lambda: deletion.delete_user(full, user),
        "message": lambda: deletion.delete_message(full, 1),
    }[what]()
    before, most, count = sum(rows(full)), 0, 0
    for _ in deleting:
        now = sum(rows(full))
        before, most, count = now, max(most, before - now), count + 1
    assert rows(full) == [0, 0]
    assert most <= 2 * steps.ROWS
    assert count >= 2 * MANY / steps.ROWS - 1
    full.close()


def test_the_disk_space_of_deleted_data_is_released(full: Database, tmp_path: Path) -> None:
    full.value("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (tmp_path / "emulator.db").stat().st_size
    steps.run(deletion.delete_messages(full))
    counts = [full.value("PRAGMA freelist_count") for _ in steps.release_space(full)]
    assert counts == sorted(counts, reverse=True)
    assert all(before - after <= 200 for before, after in pairwise(counts))
    full.close()
    assert (tmp_path / "emulator.db").stat().st_size < size / 2


def test_deletions_over_http_leave_messages_of_other_users(client: httpx.Client, room: dict[str, int]) -> None:
    for name in ("ann", "bob", "cy"):
        send(client, user={"username": name})
    answered(client.delete(f"/v1/users/{room['ann']}"))
    left = client.get("/v1/messages").json()["_embedded"]["messages"]
    assert [member["user"]["name"] for member in left] == ["cy", "bob"]
    answered(client.delete("/v1/messages"))
    assert client.get("/v1/messages").json()["_embedded"]["messages"] == []
    send(client, user={"username": "bob"})
    answered(client.delete("/v1/channels/1"))
    assert client.get("/v1/channels/1").status_code == 404


def test_only_the_latest_invocations_are_retained_and_counted(tmp_path: Path) -> None:
    with (
        cold_emulator(tmp_path, keep_invocations=3) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        made = function(client, "some.event")
        for _ in range(66):
            answered(client.post("/emulator/trigger", json={"type": "some.event", "data": {}}))
        page = client.get(f"/v1/functions/{made}/invocations?size=100").json()
        ids = [invocation["id"] for invocation in page["_embedded"]["invocations"]]
        assert ids[0] == 66
        assert len(ids) == page["page"]["totalElements"] <= 6
        details = client.get("/emulator/invocations?ids=1,66").json()["invocations"]
        assert [invocation["id"] for invocation in details] == [66]
        ended(client, made, len(ids))


def test_a_new_database_uses_incremental_vacuum(tmp_path: Path) -> None:
    database = open_database(tmp_path / "new.db", SCHEMA, MIGRATIONS)
    assert database.value("PRAGMA auto_vacuum") == 2
    database.close()


USERS = [UserImport(f"user{index}", "U", key=f"key{index}") for index in range(MANY)]
CHANNELS = [ChannelImport(ChannelType.PUBLIC, f"c{index}", members=("ann", "bob")) for index in range(MANY)]
LONG = [MessageImport(1, "x" * 10_000, "ann") for _ in range(200)]


def imported(database: Database, what: str) -> tuple[str, Callable[[int, Turn], Steps]]:
    """Return the table that an import of many rows writes to, and its steps."""
    if what == "members":
        run(imports.add_users(database, USERS, new_job(database), database.transaction))
        members = [MemberImport(user.name) for user in USERS]
        return "channel_members", lambda job, turn: imports.add_members(database, 1, members, job, turn)
    if what == "users":
        return "users", lambda job, turn: imports.add_users(database, USERS, job, turn)
    if what == "channels":
        return "channels", lambda job, turn: imports.add_channels(database, CHANNELS, job, turn)
    sent = LONG if what == "long messages" else [MessageImport(1, f"{index}", "ann") for index in range(MANY)]
    return "messages", lambda job, turn: imports.add_messages(database, sent, job, turn)


def new_job(database: Database) -> int:
    return jobs.create(database, JobType.USER_IMPORT).id


IMPORTS = ["users", "channels", "members", "messages", "long messages"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    """A database with two users and a channel."""
    seed_data(tmp_path, read_seed(PEOPLE))
    with closing(connect(tmp_path / "emulator.db")) as database:
        yield database


@pytest.mark.parametrize("what", IMPORTS)
def test_no_step_of_an_import_writes_more_than_a_few_hundred_rows(empty: Database, what: str) -> None:
    table, steps_of = imported(empty, what)
    job = new_job(empty)
    written: list[int] = []

    @contextmanager
    def turn() -> Iterator[None]:
        before = empty.value(f"SELECT count(*) FROM {table}")
        with empty.transaction():
            yield
        written.append(empty.value(f"SELECT count(*) FROM {table}") - before)

    run(steps_of(job, turn))
    found = jobs.get(empty, job)
    assert found is not None
    assert found.state == "FINISHED"
    assert sum(written) == (len(LONG) if what == "long messages" else MANY)
    assert max(written) <= (14 if what == "long messages" else steps.ROWS)
    assert empty.value("SELECT count(*) FROM import_steps") == 0


@pytest.mark.parametrize("what", IMPORTS)
def test_an_unfinished_import_is_rolled_back_at_the_next_start(empty: Database, tmp_path: Path, what: str) -> None:
    table, steps_of = imported(empty, what)
    before = empty.value(f"SELECT count(*) FROM {table}")
    keys = empty.value("SELECT count(*) FROM import_keys")
    job = new_job(empty)
    importing = steps_of(job, empty.transaction)
    while empty.value("SELECT count(*) FROM import_steps") < 3:
        next(importing)
    assert empty.value(f"SELECT count(*) FROM {table}") > before
    importing.close()
    with cold_emulator(tmp_path):
        pass
    assert empty.value(f"SELECT count(*) FROM {table}") == before
    assert empty.value("SELECT count(*) FROM import_keys") == keys
    found = jobs.get(empty, job)
    assert found is not None
    assert found.state == "FAILED"
    run(steps_of(new_job(empty), empty.transaction))
    assert empty.value(f"SELECT count(*) FROM {table}") > before


@pytest.mark.parametrize("data", ["file", "memory"])
def test_an_import_that_fails_midway_is_rolled_back(tmp_path: Path, data: str) -> None:
    path = tmp_path / "emulator.db" if data == "file" else None

    def work(attempt: Attempt) -> Steps:
        writing = imports.add_messages(
            attempt.database,
            [MessageImport(1, "x", "ann", key=str(number)) for number in range(MANY)],
            attempt.job_id,
            turn,
        )
        at.append(attempt)
        return writing

    @contextmanager
    def turn() -> Iterator[None]:
        with at[0].turn():
            yield
        if at[0].database.value("SELECT count(*) FROM messages") > MANY / 2:
            # Delete the sender, who is needed for the rest of the file.
            run(deletion.delete_user(at[0].database, users.find_by_name(at[0].database, "ann")))  # type: ignore[arg-type]

    async def done(database: Database) -> None:
        background = Jobs(database, path, lines.append)
        background.start(JobType.MESSAGE_IMPORT, work)
        while background.busy:
            await asyncio.sleep(0.001)
        await background.close()

    at: list[Attempt] = []
    lines: list[str] = []
    with closing(open_database(path, SCHEMA, MIGRATIONS)) as database:
        seeds.apply(database, read_seed(PEOPLE))
        asyncio.run(done(database))
        assert lines == ["job 1 MESSAGE_IMPORT FAILED: entry 1751: there is no user 'ann'"]
        for table in ("messages", "import_keys", "import_steps"):
            assert database.value(f"SELECT count(*) FROM {table}") == 0


def test_rows_that_depend_on_rolled_back_rows_are_deleted_with_them(empty: Database) -> None:
    importing = imports.add_users(empty, USERS, new_job(empty), empty.transaction)
    while empty.value("SELECT count(*) FROM import_steps") < 1:
        next(importing)
    importing.close()
    seeds.apply(empty, read_seed({"channels": [{"type": "DIRECT", "members": ["ann", "user0"]}]}))
    run(imports.undo_unfinished(empty, empty.transaction))
    assert [row[0] for row in empty.all("SELECT name FROM users")] == ["ann", "bob"]
    assert empty.all("PRAGMA foreign_key_check") == []


def test_other_requests_are_answered_during_an_import_in_memory() -> None:
    with (
        cold_emulator(None) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        entries = [{"name": f"user{index}", "displayName": "U", "properties": {}} for index in range(MANY * 3)]
        job = client.post("/v1/imports/users", files={"file": json.dumps(entries).encode()}).json()["id"]
        states = []
        while not states or states[-1] in ("PENDING", "RUNNING"):
            states.append(client.get(f"/v1/jobs/{job}").json()["state"])
        assert states[-1] == "FINISHED"
        assert states.count("RUNNING") > 1


def messages_of(*senders: str) -> dict[str, object]:
    return {
        "channels": [
            {"name": "seeded", "members": ["ann"], "messages": [{"user": sender, "body": "x"} for sender in senders]}
        ]
    }


def everything(database: Database) -> list[int]:
    tables = ("users", "channels", "channel_members", "messages", "import_steps")
    return [database.value(f"SELECT count(*) FROM {table}") for table in tables]


def test_no_step_of_a_seed_adds_more_rows_than_the_limit(empty: Database) -> None:
    seeding = seeds.in_steps(empty, read_seed(messages_of(*["ann"] * 500)))
    counts = [everything(empty)[3]]
    try:
        while True:
            next(seeding)
            counts.append(everything(empty)[3])
    except StopIteration as end:
        assert (end.value.channels, end.value.members, end.value.messages) == (1, 1, 500)
    assert everything(empty) == [2, 2, 3, 500, 0]
    assert max(after - before for before, after in pairwise(counts)) == seeds.STEP_ROWS


@pytest.mark.parametrize("end", ["refused", "killed"])
def test_a_refused_or_interrupted_seed_is_rolled_back(empty: Database, tmp_path: Path, end: str) -> None:
    before = everything(empty)
    seeding = seeds.in_steps(empty, read_seed(messages_of(*["ann"] * 500, "nobody")))
    if end == "refused":
        with pytest.raises(seeds.SeedRefused):
            run(seeding)
    else:
        while everything(empty)[3] < 200:
            next(seeding)
        seeding.close()
        with cold_emulator(tmp_path):
            pass
    assert everything(empty) == before


@pytest.mark.parametrize("what", ["users", "channels"])
def test_a_search_by_properties_runs_in_steps_and_finds_all_matches(empty: Database, what: str) -> None:
    empty.execute(
        "INSERT INTO users (type, name, display_name, is_guest, presence_status, properties, created_time)"
        " WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
        " SELECT 'PERSON', 'u' || n, 'U', 0, 'AVAILABLE', json_object('floor', n % 10), '2022-01-31' FROM n",
        (MANY,),
    )
    empty.execute(
        "INSERT INTO channels (type, name, display_name, properties, created_time)"
        " SELECT 'PUBLIC', name, name, properties, '2022-01-31T00:00:00Z' FROM users WHERE id > 2"
    )
    page = users.page if what == "users" else channels.page
    request = PageRequest(1, 25, f"{what}.id DESC")
    count = 0
    searching = page(empty, request, properties=[Condition("floor", (3, 4))])  # type: ignore[operator]
    try:
        while True:
            next(searching)
            count += 1
    except StopIteration as end:
        found = end.value
    assert count >= MANY / 500
    assert found.total_elements == MANY / 5
    assert [item.id for item in found.items] == sorted((item.id for item in found.items), reverse=True)
    assert {item.properties["floor"] for item in found.items} == {3, 4}


def test_other_requests_are_answered_while_a_seed_is_added(client: httpx.Client) -> None:
    seed = {"users": [{"name": "ann"}], "channels": [{"name": "c", "messages": [{"body": "x" * 1000}] * 1500}]}
    seen: list[int] = []
    with ThreadPoolExecutor(1) as elsewhere:
        seeding = elsewhere.submit(client.post, "/emulator/seed", json=seed)
        while not seeding.done():
            seen.append(client.get("/v1/users?size=1").json()["page"]["totalElements"])
    assert seeding.result().json() == {"users": 1, "channels": 1, "members": 0, "messages": 1500}
    assert set(seen) == {0, 1}
    assert len(seen) > 5


@pytest.mark.parametrize("text", ["1%", "2999", "nothing like it"])
def test_a_text_search_runs_in_steps_with_the_same_pages_as_without_steps(
    full: Database, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    full.execute("UPDATE messages SET body = id || '%'")
    matching = [row[0] for row in full.all("SELECT id FROM messages ORDER BY id DESC") if text in f"{row[0]}%"]
    monkeypatch.setattr(paging, "_SEARCH_STEP_ROWS", 100)
    found: list[int] = []
    count = 0
    cursor, more = Cursor(), True
    while more:
        searching = messages.page(full, CursorRequest(cursor, 25), query=text)
        try:
            while True:
                next(searching)
                count += 1
        except StopIteration as end:
            page = end.value
        ids = [item.id for item in page.items]
        if found and ids:
            back = Cursor(page.start, page.next, Relation.PREVIOUS)
            before = run(messages.page(full, CursorRequest(back, 25), query=text))
            assert [item.id for item in before.items] == found[-25:]
        found += ids
        more = page.has_next
        cursor = Cursor(page.start, page.next, Relation.NEXT)
    assert found == matching
    assert count >= MANY / 100 - 1
    full.close()
