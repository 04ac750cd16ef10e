"""Data in an emulator before a client calls it, which only chat clients can create."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from support.emulators import cold_emulator

from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.store import reading
from ckfunc.emulator.store.database import connect
from ckfunc.model.chat import Emoji
from ckfunc.wire.jobs import read_seed

SEED = {
    "users": [{"name": "dan"}, {"name": "eve"}],
    "channels": [
        {
            "name": "lobby",
            "creator": "eve",
            "members": ["dan"],
            "messages": [
                {"user": "eve", "body": "Unread"},
                {"user": "eve", "body": "Hi @dan, see https://example.com"},
            ],
        }
    ],
}


@contextmanager
def inhabited(data_dir: Path) -> Iterator[str]:
    """Run an emulator where dan has opened the channel `lobby` and read, reported and reacted to its last message."""
    with cold_emulator(data_dir, seed=read_seed(SEED)) as emulator:
        with closing(connect(data_dir / DATABASE)) as database:
            dan, message, lobby = (
                database.value(f"SELECT max(id) FROM {table} WHERE {condition}")
                for table, condition in (("users", "name = 'dan'"), ("messages", "TRUE"), ("channels", "TRUE"))
            )
            reading.add_receipt(database, message, dan)
            reading.add_reaction(
                database, message, dan, Emoji("😀", "grinning face", ("grinning",), ("smile", "happy"))
            )
        report = {"username": "dan", "messageId": message}
        assert httpx.post(f"{emulator.url}/emulator/reports", json=report, trust_env=False).status_code == 200
        opened = httpx.post(
            f"{emulator.url}/emulator/sessions", json={"username": "dan", "channelId": lobby}, trust_env=False
        )
        assert opened.status_code == 200, opened.text
        yield emulator.url
