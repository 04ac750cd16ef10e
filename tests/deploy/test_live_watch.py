"""A watched deploy to an emulator under live load, with real Node."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.processes import run
from support.emulators import cold_emulator

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.api.emulator import trigger
from ckfunc.base.secrets import Secret
from ckfunc.deploy.observation import VersionRuns
from ckfunc.logs.finding import recent
from ckfunc.model.application import Invocation, Status
from ckfunc.model.project import WatchPolicy

SENT = "user.sent.message"
GOOD = "async function handleEvent(event: any) { return event.number; }\n"
BAD = "async function handleEvent(event: any) { if (event.number % 10 === 3) throw new Error('broken'); return 1; }\n"
USERS = 2


class Load:
    """Users that fire events continuously until the end."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self.fired: list[Invocation | None] = []
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._fire) for _ in range(USERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many further events have been handled."""
        with self._changed:
            wanted = len(self.fired) + count
            assert self._changed.wait_for(lambda: len(self.fired) >= wanted, timeout=120)

    def _fire(self) -> None:
        from ckfunc.wire.applications import read_invocation

        while not self._ended.is_set():
            answer = trigger(self._client, SENT, {"number": next(self._numbers)})
            with self._changed:
                ran = answer.get("invocation")
                self.fired.append(None if ran is None else read_invocation(ran))
                self._changed.notify_all()


@pytest.mark.slow
def test_a_version_that_fails_in_a_tenth_of_its_runs_is_reverted_without_lost_runs(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    root = tmp_path / "project"
    (root / "handlers").mkdir(parents=True)
    (root / "functions.yaml").write_text(
        "version: 1\ntargets: {remote: {}}\nfunctions:\n  user.sent.message: {handler: handlers/sent.ts}\n"
    )
    (root / "handlers/sent.ts").write_text(GOOD)
    with cold_emulator(tmp_path / "data") as emulator:
        url = emulator.url
        environ = {
            **os.environ,
            "CHATKITTY_API_URL": url,
            "CHATKITTY_AUTHORIZATION_URL": f"{url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "emulator",
            "CHATKITTY_CLIENT_SECRET": "emulator",
        }
        assert run(root, environ, "deploy").code == 0
        with Client(Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator"))) as client:
            with Load(client) as load:
                load.wait_for(30)
                (root / "handlers/sent.ts").write_text(BAD)
                ran = run(root, environ, "deploy", "--watch-for", "50s", "--min-runs", "20")
                load.wait_for(20)
            found = [entry.invocation for entry in recent(client, client.functions()) if hasattr(entry, "invocation")]
    assert ran.code == 1, ran.out + ran.err
    assert "Too many runs failed: the deploy was reverted." in ran.out
    # Each event was handled once, and each run has ended; only the bad version failed.
    assert None not in load.fired
    assert sorted(run.id for run in load.fired if run is not None) == [run.id for run in found]
    assert {run.status for run in found if run.version_number != 2} == {Status.SUCCEEDED}
    assert {run.version_number for run in found} == {1, 2, 3}
    judged = VersionRuns(SENT, 1, 2, WatchPolicy().with_texts("50s", "2%", 20))
    limit = None
    for invocation in found:
        judged.add(invocation)
        limit = limit or (invocation.created_time if judged.breached else None)
    assert limit is not None
    restored = next(run.created_time for run in found if run.version_number == 3)
    record_property("runs under load", len(found))
    record_property("seconds from the limit to the former version", (restored - limit).total_seconds())
