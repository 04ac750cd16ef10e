"""Export, import, reset and seeds of an emulator's data, and migrations of its format."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.base.errors import Busy
from ckfunc.emulator.data import NoData, export_data, import_data, reset_data, seed_data
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.emulator.store.seeds import SeedRefused
from ckfunc.emulator.store.trouble import UnusableDatabase
from ckfunc.model.job import Seed, Seeded
from ckfunc.wire.jobs import MalformedSeed, read_seed

FILE = {"url": "https://example.com/a.txt", "name": "a.txt", "contentType": "text/plain", "size": 1}
SEED: dict[str, Any] = {
    "users": [
        {"name": "jane", "display_name": "Jane Doe", "properties": {"plan_name": "free"}},
        {"name": "agent", "isGuest": True},
    ],
    "channels": [
        {
            "name": "support",
            "creator": "agent",
            "members": ["jane"],
            "messages": [
                {"user": "jane", "body": "Hello"},
                {"body": "Welcome", "groupTag": "g"},
                {"user": {"username": "agent"}, "file": FILE},
            ],
        },
        {"type": "DIRECT", "members": ["jane", "agent"]},
    ],
}


@contextmanager
def running(data_dir: Path | None, seed: Seed | None = None) -> Iterator[httpx.Client]:
    with (
        cold_emulator(data_dir, seed=seed) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        yield client


def names(client: httpx.Client) -> list[str]:
    return [user["name"] for user in client.get("/v1/users").json()["_embedded"]["users"]]


def add(client: httpx.Client, name: str) -> None:
    assert client.post("/v1/users", json={"name": name, "displayName": name}).status_code == 200


def identity(client: httpx.Client) -> str:
    return client.get("/emulator/health").headers["x-ckfunc-emulator"]


# -- export and import ------------------------------------------------------------------------------------------------


def test_data_of_a_running_emulator_is_exported_and_imported_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    with running(tmp_path / "one") as client:
        add(client, "ann")
        export_data(tmp_path / "one", file)
        add(client, "bob")
        first = identity(client)
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    import_data(file, tmp_path)
    with running(tmp_path) as client:
        assert names(client) == ["ann"]
        assert identity(client) != first


def test_an_import_replaces_the_data_of_a_killed_emulator(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "copy.db"
    with running(data) as client:
        add(client, "ann")
    export_data(data, file)
    with running(data) as client:
        add(client, "bob")
    # A killed emulator leaves a write-ahead log that belongs to the previous database.
    with closing(sqlite3.connect(data / "emulator.db")) as other:
        other.execute("UPDATE users SET display_name = 'changed'")
        other.commit()
        (tmp_path / "log").write_bytes((data / "emulator.db-wal").read_bytes())
    (data / "emulator.db-wal").write_bytes((tmp_path / "log").read_bytes())
    import_data(file, data)
    with running(data) as client:
        assert names(client) == ["ann"]
        assert client.get("/v1/users/1").json()["displayName"] == "ann"
    assert sorted(path.name for path in data.iterdir()) == ["emulator.db", "lock"]


def test_an_import_replaces_a_damaged_database(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "copy.db"
    seed_data(data, read_seed(SEED))
    export_data(data, file)
    (data / "emulator.db").write_bytes(b"no database at all" * 100)
    import_data(file, data)
    with running(data) as client:
        assert names(client) == ["jane", "agent"]


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE x (y)")


def newer(path: Path) -> None:
    open_database(path, SCHEMA).close()
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA user_version = 99")


def damaged(path: Path) -> None:
    seed_data(path.parent / "source", read_seed({"users": [{"name": f"user{n}" * 20} for n in range(500)]}))
    export_data(path.parent / "source", path)
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("users: []"), "file is not a database"),
        (lambda path: path.write_bytes(b""), "is not emulator data"),
        (foreign, "is not emulator data"),
        (newer, "was made by a newer ckfunc"),
        (damaged, "damaged|malformed"),
    ],
    ids=["text", "empty", "foreign", "newer", "damaged"],
)
def test_importing_an_invalid_file_is_refused_and_the_data_stays(tmp_path: Path, make: Any, message: str) -> None:
    data, file = tmp_path / "data", tmp_path / "file"
    seed_data(data, read_seed(SEED))
    make(file)
    with pytest.raises(UnusableDatabase, match=message):
        import_data(file, data)
    with running(data) as client:
        assert names(client) == ["jane", "agent"]
    assert [path.name for path in data.iterdir() if path.name.startswith(".")] == []


def test_exporting_without_data_and_importing_without_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="there is no emulator data"):
        export_data(tmp_path, tmp_path / "copy.db")
    with pytest.raises(NoData, match="there is no file"):
        import_data(tmp_path / "copy.db", tmp_path)
    assert list(tmp_path.glob("*.db")) == []


def test_a_failed_export_leaves_the_existing_file(tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("older")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "emulator.db").write_text("no database")
    with pytest.raises(UnusableDatabase):
        export_data(tmp_path / "data", file)
    assert file.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]


@pytest.mark.skipif(sys.platform == "win32", reason="devices are not files on Windows")
def test_an_export_does_not_replace_a_device(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        pass
    (tmp_path / "link").symlink_to(os.devnull)
    with pytest.raises(OSError, match="not a regular file"):
        export_data(tmp_path / "data", tmp_path / "link")
    assert (tmp_path / "link").readlink() == Path(os.devnull)


def test_the_data_of_a_running_emulator_cannot_be_replaced_seeded_or_deleted(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "copy.db"
    with running(data) as client:
        export_data(data, file)
        for change in (lambda: import_data(file, data), lambda: reset_data(data), lambda: seed_data(data, Seed())):
            with pytest.raises(Busy, match=str(client.base_url).rstrip("/")):
                change()


# -- reset ------------------------------------------------------------------------------------------------------------


def test_a_reset_deletes_all_data_and_the_next_emulator_has_a_new_identity(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        add(client, "ann")
        first = identity(client)
    assert reset_data(tmp_path)
    assert not reset_data(tmp_path)
    assert not reset_data(tmp_path / "nowhere")
    with running(tmp_path) as client:
        assert names(client) == []
        assert identity(client) != first


# -- seed -------------------------------------------------------------------------------------------------------------


def check_seeded(client: httpx.Client) -> None:
    jane, agent = client.get("/v1/users").json()["_embedded"]["users"]
    assert (jane["displayName"], jane["isGuest"], jane["properties"]) == ("Jane Doe", False, {"plan_name": "free"})
    assert (agent["displayName"], agent["isGuest"]) == ("agent", True)
    support, direct = client.get("/v1/channels").json()["_embedded"]["channels"]
    assert (support["type"], support["name"], support["creator"]["name"]) == ("PUBLIC", "support", "agent")
    assert [member["name"] for member in direct["members"]] == ["jane", "agent"]
    members = client.get(f"/v1/channels/{support['id']}/members").json()["_embedded"]["users"]
    assert [member["name"] for member in members] == ["jane", "agent"]
    messages = client.get(f"/v1/channels/{support['id']}/messages").json()["_embedded"]["messages"]
    assert [message["type"] for message in messages] == ["FILE", "SYSTEM_TEXT", "TEXT"]
    assert [message.get("body") for message in messages] == [None, "Welcome", "Hello"]


def test_a_seed_is_added_before_the_emulator_is_ready_and_only_once(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path, read_seed(SEED)) as client:
            check_seeded(client)


def test_an_emulator_in_memory_can_be_seeded() -> None:
    with running(None, read_seed(SEED)) as client:
        check_seeded(client)


def test_a_seed_is_added_to_a_running_emulator_without_triggering_events(client: httpx.Client) -> None:
    function = client.post("/v1/runtimes/nodejs/functions", json={"type": "user.sent.message", "name": "x"}).json()
    versions = f"/v1/functions/{function['id']}/versions"
    assert client.post(versions, json={"handlerScript": "function handleEvent() {}"}).status_code == 200
    answer = client.post("/emulator/seed", json=SEED)
    assert answer.json() == {"users": 2, "channels": 2, "members": 4, "messages": 3}
    assert client.post("/emulator/seed", json=SEED).json() == dict.fromkeys(answer.json(), 0)
    check_seeded(client)
    invocations = client.get(f"/v1/functions/{function['id']}/invocations").json()
    assert invocations["_embedded"]["invocations"] == []


def test_a_seed_adds_missing_members_to_an_existing_channel_but_no_messages(tmp_path: Path) -> None:
    assert seed_data(tmp_path, read_seed(SEED)) == Seeded(2, 2, 4, 3)
    more = read_seed(
        {
            "users": [{"name": "bob"}, {"name": "jane", "display_name": "Other"}],
            "channels": [{"name": "support", "members": ["bob"], "messages": [{"body": "never sent"}]}],
        }
    )
    assert seed_data(tmp_path, more) == Seeded(users=1, members=1)
    with running(tmp_path) as client:
        assert client.get("/v1/users/1").json()["displayName"] == "Jane Doe"


@pytest.mark.parametrize(
    "seed",
    [
        {"channels": [{"name": "a", "members": ["nobody"]}]},
        {"channels": [{"name": "a", "creator": "nobody"}]},
        {"channels": [{"name": "a", "messages": [{"user": "nobody", "body": "x"}]}]},
        {"channels": [{"name": "a", "members": [{"id": 7}]}]},
    ],
)
def test_a_seed_that_refers_to_an_unknown_user_adds_nothing(
    tmp_path: Path, client: httpx.Client, seed: dict[str, Any]
) -> None:
    seed = {"users": [{"name": "ann"}], **seed}
    with pytest.raises(SeedRefused, match=r"'a' refers to user .*(nobody|7).*, who does not exist"):
        seed_data(tmp_path / "data", read_seed(seed))
    with pytest.raises(SeedRefused):
        cold_emulator(tmp_path / "data", seed=read_seed(seed)).start()
    answer = client.post("/emulator/seed", json=seed)
    assert (answer.status_code, answer.json()["error"]) == (400, "ClientError")
    assert names(client) == []
    with running(tmp_path / "data") as other:
        assert names(other) == []


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([], "the seed is an array, not an object"),
        ({"user": []}, "user: the seed has no field 'user', only users, channels"),
        ({"users": {}}, "field 'users' is an object, not an array"),
        ({"users": [{"name": 7}]}, "users[0]: field 'name' is an integer, not a string"),
        ({"users": [{"name": "a"}, {"name": "a"}]}, "users[1]: duplicate user 'a'"),
        ({"users": [{"name": "a", "mail": "x"}]}, "users[0].mail: a user has no field 'mail'"),
        ({"users": [{"name": "a", "id": 1}, {"name": "b", "id": 1}]}, "users[1].id: duplicate id 1"),
        ({"users": [{"name": "a", "id": 0}]}, "users[0].id: an id must be at least 1"),
        ({"channels": [{"name": "a", "id": "7"}]}, "channels[0]: field 'id' is a string, not an integer"),
        ({"users": ["ann"]}, "users[0]: a user is a string, not an object"),
        ({"channels": [{}]}, "channels[0]: field 'name' is missing"),
        ({"channels": [{"type": "DIRECT"}]}, "channels[0]: field 'members' is null, not an array"),
        ({"channels": [{"type": "OPEN", "name": "a"}]}, "channels[0]: field 'type' is 'OPEN', not one of"),
        ({"channels": [{"name": "a", "members": [7]}]}, "channels[0]: entry 0 of 'members' is an integer"),
        ({"channels": [{"name": "a", "messages": [{}]}]}, "channels[0].messages[0]: a message has either 'body' or"),
        ({"channels": [{"name": "a", "messages": [{"body": ""}]}]}, "channels[0].messages[0]: field 'body' is empty"),
        ({"channels": [{"name": "a", "messages": [{"text": "x"}]}]}, "channels[0].messages[0].text: a message has no"),
    ],
)
def test_a_mistake_in_a_seed_is_reported_with_its_location(client: httpx.Client, seed: Any, message: str) -> None:
    with pytest.raises(MalformedSeed) as caught:
        read_seed(seed)
    assert str(caught.value).startswith(message)
    answer = client.post("/emulator/seed", json=seed)
    assert answer.status_code == 400
    assert answer.json()["explanation"].startswith(message)


def test_ids_in_a_seed_are_assigned_and_later_ids_continue_from_them(client: httpx.Client) -> None:
    messages = [{"id": 900, "user": "ann", "body": "a"}, {"body": "b"}]
    seed = {
        "users": [{"id": 70, "name": "ann"}, {"name": "ben"}],
        "channels": [{"id": 500, "name": "desk", "members": ["ann"], "messages": messages}, {"name": "hall"}],
    }
    for _ in range(2):
        assert client.post("/emulator/seed", json=seed).status_code == 200
    assert [client.get(f"/v1/users/{user_id}").json()["name"] for user_id in (70, 71)] == ["ann", "ben"]
    assert [client.get(f"/v1/channels/{channel_id}").json()["name"] for channel_id in (500, 501)] == ["desk", "hall"]
    assert [client.get(f"/v1/messages/{message_id}").json()["body"] for message_id in (900, 901)] == ["a", "b"]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"users": [{"id": 1, "name": "ben"}]}, "user 'ben' cannot have the id 1, which is taken"),
        ({"channels": [{"id": 1, "name": "hall"}]}, "channel 'hall' cannot have the id 1, which is taken"),
        (
            {"channels": [{"name": "hall", "messages": [{"id": 1, "body": "x"}]}]},
            "a message in channel 'hall' cannot have the id 1, which is taken",
        ),
    ],
)
def test_a_seed_with_an_existing_id_is_refused_and_adds_nothing(client: httpx.Client, seed: Any, message: str) -> None:
    before = {"users": [{"name": "ann"}], "channels": [{"name": "desk", "messages": [{"body": "x"}]}]}
    assert client.post("/emulator/seed", json=before).status_code == 200
    answer = client.post("/emulator/seed", json={"users": [{"name": "new"}, *seed.get("users", [])], **seed})
    assert answer.status_code == 400
    assert message in answer.text
    assert names(client) == ["ann"]


# -- versions of the format -------------------------------------------------------------------------------------------

OLDER = ("CREATE TABLE things (id INTEGER PRIMARY KEY)",)
NEWER = ("CREATE TABLE things (id INTEGER PRIMARY KEY, colour TEXT, size INTEGER)",)
MIGRATIONS = ("ALTER TABLE things ADD COLUMN colour TEXT", "ALTER TABLE things ADD COLUMN size INTEGER")


def test_an_older_database_is_migrated_step_by_step_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    older = open_database(path, OLDER)
    older.execute("INSERT INTO things VALUES (7)")
    older.close()
    for migrations in (MIGRATIONS[:1], MIGRATIONS, MIGRATIONS):
        database = open_database(path, NEWER, migrations)
        assert database.value("PRAGMA user_version") == len(migrations) + 1
        assert (database.id, database.value("SELECT id FROM things")) == (older.id, 7)
        database.close()
    database = open_database(path, NEWER, MIGRATIONS)
    assert tuple(database.all("SELECT * FROM things")[0]) == (7, None, None)
    database.close()


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_database(path, OLDER).close()
    with pytest.raises(UnusableDatabase):
        open_database(path, NEWER, (MIGRATIONS[0], "ALTER TABLE nothing ADD COLUMN size"))
    database = open_database(path, OLDER)
    assert [row["name"] for row in database.all("PRAGMA table_info(things)")] == ["id"]
    database.close()


def test_a_new_database_has_the_newest_version(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.db", NEWER, MIGRATIONS)
    assert database.value("PRAGMA user_version") == 3
    database.close()
    with pytest.raises(UnusableDatabase, match="its format is 3, this one knows 1"):
        open_database(tmp_path / "x.db", OLDER)
