"""Logs of the real emulator: handlers run in Node while they are followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.emulators import cold_emulator

from ckfunc.api import Client, Connection
from ckfunc.api.emulator import trigger
from ckfunc.base.secrets import Secret
from ckfunc.base.text import plain
from ckfunc.logs.entries import Item, LogEntry
from ckfunc.logs.finding import recent
from ckfunc.logs.follow import Pace, follow
from ckfunc.logs.format import lines
from ckfunc.model.application import NewFunction, Status

HANDLER = """
async function handleEvent(event: any) {
    console.log('handling', event.n);
    if (event.slow) await new Promise((done) => setTimeout(done, 700));
    if (event.bad) throw new TypeError('no ' + event.n);
    return event.n;
}
"""


@pytest.fixture
def client() -> Iterator[Client]:
    running = cold_emulator(None)
    url = running.start()
    with Client(Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator"))) as made:
        yield made
    running.stop()


def deploy(client: Client, *types: str) -> None:
    for trigger_type in types:
        client.create_version(client.create_function(NewFunction(trigger_type, trigger_type)).id, HANDLER)


def test_invocations_are_listed_with_console_output_and_mapped_stack(client: Client) -> None:
    deploy(client, "user.sent.message", "user.read.message")
    trigger(client, "user.sent.message", {"n": 1})
    trigger(client, "user.read.message", {"n": 2, "bad": True})
    found = [item for item in recent(client, client.functions(), limit=10) if isinstance(item, LogEntry)]
    assert [(entry.type, entry.invocation.status) for entry in found] == [
        ("user.sent.message", Status.SUCCEEDED),
        ("user.read.message", Status.FAILED),
    ]
    shown = [plain(line) for line in lines(found[1])]
    assert "  log   handling 2" in shown
    assert "  TypeError: no 2" in shown
    assert any(line.startswith("    at ") and ":5:" in line for line in shown), shown


def test_invocations_are_followed_while_they_run(client: Client) -> None:
    deploy(client, "user.sent.message", "user.read.message")
    count = 40
    began = threading.Event()

    def fire(name: str, numbers: range) -> None:
        began.wait(30)
        for number in numbers:
            trigger(client, name, {"n": number, "slow": number == 0})

    threads = [
        threading.Thread(target=fire, args=("user.sent.message", range(count))),
        threading.Thread(target=fire, args=("user.read.message", range(1, count))),
    ]
    for thread in threads:
        thread.start()
    items: list[Item] = []
    # A backlog of one, so that there is an item before the first event.
    trigger(client, "user.read.message", {"n": -1})
    for item in follow(client, limit=1, pace=Pace(0.02, 0.05, 0.5, 0.0)):
        items.append(item)
        began.set()
        if (
            sum(isinstance(item, LogEntry) and item.invocation.status is not Status.RUNNING for item in items)
            == 2 * count
        ):
            break
    for thread in threads:
        thread.join()
    entries = [item for item in items if isinstance(item, LogEntry)]
    assert len(entries) == len(items)
    firsts = list(dict.fromkeys(entry.invocation.id for entry in entries))
    assert firsts == sorted(firsts)
    assert len(firsts) == 2 * count
    assert len({(entry.invocation.id, entry.invocation.status) for entry in entries}) == len(entries)
    ended = {entry.invocation.id: entry for entry in entries if entry.invocation.status is not Status.RUNNING}
    assert all(entry.detail and entry.detail.console[0].text.startswith("handling") for entry in ended.values())
    slow = [entry for entry in entries if entry.invocation.args.get("slow")]
    assert [entry.invocation.status for entry in slow] == [Status.RUNNING, Status.SUCCEEDED]
