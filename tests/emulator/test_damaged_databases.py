"""Damaged databases, reported with a hint when they are opened or when the damage is read."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from support.loopback import http_client

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import cache_dir
from ckfunc.emulator.data import reset_data, seed_data
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.store.database import connect
from ckfunc.emulator.store.database_file import copied
from ckfunc.emulator.store.trouble import DamagedDatabase
from ckfunc.wire.jobs import read_seed

TOLD = "restore a copy with `ckfunc emulator import FILE`, or start over with `ckfunc emulator reset`"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    seed_data(tmp_path / "data", read_seed({"users": [{"name": f"user{n}" * 20} for n in range(500)]}))
    return tmp_path / "data"


def zeroed_pages(content: bytearray) -> None:
    for page in range(6, len(content) // 4096, 2):
        content[page * 4096 : (page + 1) * 4096] = bytes(4096)


def flipped_bytes(content: bytearray) -> None:
    for at in range(8192, len(content), 97):
        content[at] ^= 0xFF


def no_header(content: bytearray) -> None:
    content[:64] = b"\xff" * 64


def no_format(content: bytearray) -> None:
    content[60:64] = bytes(4)


def cut_off(content: bytearray) -> None:
    del content[len(content) // 2 :]


def text(content: bytearray) -> None:
    content[:] = b"users: []\n" * 1000


@pytest.mark.parametrize("harm", [zeroed_pages, flipped_bytes, no_header, no_format, cut_off, text])
def test_a_damaged_database_is_detected_when_it_is_opened(data: Path, harm: Callable[[bytearray], None]) -> None:
    content = bytearray((data / "emulator.db").read_bytes())
    harm(content)
    (data / "emulator.db").write_bytes(content)
    for opened in (
        lambda: Emulator(data, cache=cache_dir()).start(),
        lambda: copied(data / "emulator.db"),
    ):
        with pytest.raises(DamagedDatabase, match="it is damaged") as caught:
            opened()
        assert caught.value.hint == TOLD
    assert reset_data(data)
    with Emulator(data, cache=cache_dir()) as emulator:
        assert httpx.get(f"{emulator.url}/emulator/health", trust_env=False).status_code == 200


def test_a_directory_in_place_of_the_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "emulator.db").mkdir()
    with pytest.raises(CkfuncError, match="not a regular file") as caught:
        Emulator(tmp_path, cache=cache_dir()).start()
    assert caught.value.hint


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE users SET properties = '{broken'",
        "UPDATE users SET type = 'PERSOM'",
        "UPDATE users SET display_name = CAST(x'ff41' AS TEXT)",
    ],
    ids=["json", "enum", "utf-8"],
)
def test_an_invalid_stored_value_is_reported_as_damage_when_it_is_read(data: Path, sql: str) -> None:
    with closing(connect(data / "emulator.db")) as database:
        database.execute(sql)
    with Emulator(data, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        for path in ("/v1/users/1", "/v1/users"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]) == (500, "StorageError"), answer.text
            assert TOLD in answer.json()["explanation"]
        assert client.get("/v1/application").status_code == 200


def test_damage_to_pages_of_a_large_database_is_reported_when_it_is_read(data: Path) -> None:
    with closing(connect(data / "emulator.db")) as database:
        database.execute("INSERT INTO channels (type, properties, created_time) VALUES ('PUBLIC', '{}', '2022-01-31')")
        database.execute(
            "INSERT INTO messages (channel_id, user_id, type, body, nested_level, properties, created_time)"
            " WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)"
            " SELECT 1, 1, 'TEXT', printf('%0200d', n), 0, '{}', '2022-01-31T12:00:00.000Z' FROM n"
        )
        root = database.value("SELECT rootpage FROM sqlite_master WHERE name = 'messages'")
    content = bytearray((data / "emulator.db").read_bytes())
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    (data / "emulator.db").write_bytes(content)
    with Emulator(data, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        answer = client.get("/v1/messages")
        assert (answer.status_code, answer.json()["error"]) == (500, "StorageError"), answer.text
        assert TOLD in answer.json()["explanation"]
        assert client.get("/v1/users?size=1").status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="a database that is open is locked differently on Windows")
def test_a_database_locked_by_another_program_is_not_reported_as_damaged(data: Path) -> None:
    with (
        Emulator(data, cache=cache_dir()) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"

        async def impatient(services: object) -> None:
            services.database.execute("PRAGMA busy_timeout = 10")  # type: ignore[attr-defined]

        emulator.within(impatient)
        with closing(sqlite3.connect(data / "emulator.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = client.post("/v1/users", json={"name": "ann", "displayName": "Ann"})
            assert (answer.status_code, answer.json()["error"]) == (500, "StorageError")
            assert "another process has locked it; close the program" in answer.json()["explanation"]
            other.execute("ROLLBACK")
        assert client.post("/v1/users", json={"name": "ann", "displayName": "Ann"}).status_code == 200


READ_ONLY = """
import sys
from pathlib import Path
from ckfunc.emulator.data import export_data
from ckfunc.emulator.store.database_file import copied
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
copy = copied(Path(sys.argv[1]) / "emulator.db")
print(copy.value("SELECT count(*) FROM users"))
export_data(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts the data read-only in a separate namespace")
def test_data_on_a_read_only_disk_is_read_including_its_write_ahead_log(data: Path, tmp_path: Path) -> None:
    mount = f'mount --bind {data} {data} && mount -o remount,ro,bind {data} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", READ_ONLY]
    with closing(sqlite3.connect(data / "emulator.db", isolation_level=None)) as other:
        other.execute("DELETE FROM users WHERE id > 7")
        assert (data / "emulator.db-wal").stat().st_size > 0
        ran = subprocess.run(
            [*command, str(data), str(tmp_path / "copy.db")], capture_output=True, text=True, check=False
        )
    if "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip("this system has no namespaces for users")
    assert (ran.stdout, ran.stderr) == ("7\n", "")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM users").fetchone() == (7,)
