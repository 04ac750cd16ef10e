"""Emulators that are killed at any moment: confirmed data survives."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from emulator.conftest import sign_in
from support.killable import Killable
from support.loopback import http_client

ROUNDS = 20
WRITERS = 3


def write(client: httpx.Client, writer: int, channel: int, answered: dict[str, set[int]]) -> None:
    """Send messages and create users until the emulator is killed, and record the confirmed ids."""
    number = 0
    while True:
        number += 1
        try:
            sent = client.post(f"/v1/channels/{channel}/messages", json={"type": "TEXT", "body": f"{writer} {number}"})
            answered["messages"].add(sent.json()["id"])
            name = f"user-{channel}-{writer}-{number}"
            made = client.post("/v1/users", json={"name": name, "displayName": name})
            answered["users"].add(made.json()["id"])
        except httpx.HTTPError:
            return


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_no_confirmed_write_is_lost_when_the_emulator_is_killed_twenty_times(tmp_path: Path) -> None:
    chance = random.Random(20)
    data = tmp_path / "data"
    answered: dict[str, set[int]] = {"messages": set(), "users": set()}
    for _ in range(ROUNDS):
        emulator = Killable(data)
        before = {name: len(ids) for name, ids in answered.items()}
        with http_client(emulator.url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            channel = client.post("/v1/channels", json={"type": "PUBLIC"}).json()["id"]
            writers = [
                threading.Thread(target=write, args=(client, number, channel, answered)) for number in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            while any(len(ids) <= before[name] for name, ids in answered.items()):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            emulator.kill()
            for writer in writers:
                writer.join()
        with closing(sqlite3.connect(data / "emulator.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            for table, ids in answered.items():
                assert ids <= {row[0] for row in database.execute(f"SELECT id FROM {table}")}
    emulator = Killable(data)
    try:
        with http_client(emulator.url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            for message_id in chance.sample(sorted(answered["messages"]), 20):
                assert client.get(f"/v1/messages/{message_id}").status_code == 200
    finally:
        emulator.kill()
