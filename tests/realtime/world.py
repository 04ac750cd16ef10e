"""An emulator with three users, a channel and its messages, which can be killed and started again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.killable import Killable

SEED = {
    "users": [{"name": name, "displayName": name.title()} for name in ("ann", "bob", "cat")],
    "channels": [
        {
            "name": "archive",
            "creator": "ann",
            "members": ["bob"],
            "messages": [{"user": "ann", "body": f"old {number}"} for number in range(60)],
        }
    ],
}


class World:
    """The emulator that clients connect to; it has the same address after a restart."""

    def __init__(self, data_dir: Path) -> None:
        seed = data_dir.with_name("seed.json")
        seed.write_text(json.dumps(SEED), encoding="utf-8")
        self._data_dir = data_dir
        self.emulator = Killable(data_dir, "--seed", str(seed))

    @property
    def url(self) -> str:
        return self.emulator.url

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def kill_and_start(self) -> None:
        """Kill the emulator, as with `kill -9`, and start it again."""
        port = int(self.host.rpartition(":")[2])
        self.emulator.kill()
        self.emulator = Killable(self._data_dir, port=port)


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Run an emulator whose data is in `directory`."""
    made = World(directory / "data")
    try:
        yield made
    finally:
        made.emulator.kill()
