"""Much data is deleted in small steps, its space is given back, and only the last invocations are kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from support.calls import answered, ended, function, send

from ckfunc.base.files import cache_dir
from ckfunc.emulator.data import seed_data
from ckfunc.emulator.server import Emulator
from ckfunc.emulator.store import channels, deletion, messages, steps, users
from ckfunc.emulator.store.database import Database, connect, open_database
from ckfunc.emulator.store.schema import MIGRATIONS, SCHEMA
from ckfunc.wire.seeds import read_seed

MANY = 3000
PEOPLE = {"users": [{"name": "ann"}, {"name": "bob"}], "channels": [{"name": "p", "members": ["ann", "bob"]}]}


@pytest.fixture
def full(tmp_path: Path) -> Database:
    """A database with many messages of ann, all answers to the first, and a notification of bob for each."""
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
    return [database.value(f"SELECT count(*) FROM {one}") for one in ("messages", "notifications")]


@pytest.mark.parametrize("what", ["all", "channel", "user", "message"])
def test_no_step_of_a_deletion_changes_more_than_a_few_hundred_rows(full: Database, what: str) -> None:
    user = users.get(full, 1)
    assert user is not None
    deleting = {
        "all": lambda: messages.delete_all(full),
        "channel": lambda: channels.delete(full, 1),
        "user": lambda: deletion.delete_user(full, user),
        "message": lambda: messages.delete(full, 1),
    }[what]()
    before, most, count = sum(rows(full)), 0, 0
    for _ in deleting:
        now = sum(rows(full))
        before, most, count = now, max(most, before - now), count + 1
    assert rows(full) == [0, 0]
    assert most <= 2 * steps.ROWS
    assert count >= 2 * MANY / steps.ROWS - 1
    full.close()


def test_the_space_of_what_was_deleted_is_given_back_to_the_disk(full: Database, tmp_path: Path) -> None:
    full.value("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (tmp_path / "emulator.db").stat().st_size
    steps.run(messages.delete_all(full))
    counts = [full.value("PRAGMA freelist_count") for _ in steps.give_back(full)]
    assert counts == sorted(counts, reverse=True)
    assert all(one - other <= 200 for one, other in pairwise(counts))
    full.close()
    assert (tmp_path / "emulator.db").stat().st_size < size / 2


def test_deletions_over_http_leave_what_others_have_sent(client: httpx.Client, room: dict[str, int]) -> None:
    for name in ("ann", "bob", "cy"):
        send(client, user={"username": name})
    answered(client.delete(f"/v1/users/{room['ann']}"))
    left = client.get("/v1/messages").json()["_embedded"]["messages"]
    assert [one["user"]["name"] for one in left] == ["cy", "bob"]
    answered(client.delete("/v1/messages"))
    assert client.get("/v1/messages").json()["_embedded"]["messages"] == []
    send(client, user={"username": "bob"})
    answered(client.delete("/v1/channels/1"))
    assert client.get("/v1/channels/1").status_code == 404


def test_only_the_last_invocations_are_kept_and_pages_count_those(tmp_path: Path) -> None:
    with (
        Emulator(tmp_path, cache=cache_dir(), keep_invocations=3) as emulator,
        httpx.Client(base_url=emulator.url, trust_env=False, timeout=60) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        made = function(client, "some.event")
        for _ in range(66):
            answered(client.post("/emulator/trigger", json={"type": "some.event", "data": {}}))
        page = client.get(f"/v1/functions/{made}/invocations?size=100").json()
        ids = [one["id"] for one in page["_embedded"]["invocations"]]
        assert ids[0] == 66
        assert len(ids) == page["page"]["totalElements"] <= 6
        details = client.get("/emulator/invocations?ids=1,66").json()["invocations"]
        assert [one["id"] for one in details] == [66]
        ended(client, made, len(ids))


def test_a_new_database_can_give_space_back_and_an_older_one_is_left_as_it_is(tmp_path: Path) -> None:
    database = open_database(tmp_path / "new.db", SCHEMA, MIGRATIONS)
    assert database.value("PRAGMA auto_vacuum") == 2
    database.close()
