"""What the dispatcher does when events come faster than they can run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckfunc.emulator.dispatch.dispatcher import MOST_AT_ONCE, Dispatcher
from ckfunc.emulator.store import application, functions, invocations, runtime
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.store.schema import SCHEMA
from ckfunc.model.execution import Compiled, Environment, HandlerVersion, Outcome
from ckfunc.model.function import NewFunction
from ckfunc.model.invocation import ConsoleLine, Invocation, Status


class Verbatim:
    """Takes every script as JavaScript already."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled, ...]:
        return tuple(Compiled(name, source, "{}", "cjs") for name, source in scripts)


class Gate:
    """Runs nothing until it is opened, and counts what waits at it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        self.most = 0

    async def invoke(
        self,
        environment: Environment,
        version: HandlerVersion,
        event: Mapping[str, Any],
        on_console: Callable[[ConsoleLine], None] | None = None,
        *,
        label: str = "",
    ) -> Outcome:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.opened.wait()
        self.waiting -= 1
        return Outcome(str(event["n"]), None)

    async def prepare(self, environment: Environment, versions: Sequence[HandlerVersion]) -> None:
        raise RuntimeError("this never works, and harms nobody")


def stored(database: Database, status: Status) -> list[Invocation]:
    page = invocations.page(database, 1, PageRequest(0, 2000, "id ASC"))
    assert page.total_elements == len(page.items)
    return [one for one in page.items if one.status is status]


def prepared() -> Database:
    database = open_database(None, SCHEMA)
    application.create_if_missing(database)
    runtime.create_if_missing(database)
    functions.create(database, NewFunction("some.event", "Some Event"))
    functions.add_version(database, 1, "function handleEvent() {}")
    return database


def test_events_wait_for_their_turn_and_run_in_their_order() -> None:
    async def scenario(database: Database) -> None:
        gate = Gate()
        dispatcher = Dispatcher(database, hosts=gate, compiler=Verbatim(), base_url="http://127.0.0.1")
        for number in range(MOST_AT_ONCE * 3):
            assert dispatcher.fire("some.event", {"n": number}) is not None
        assert dispatcher.fire("another.event", {}) is None
        assert len(stored(database, Status.RUNNING)) == MOST_AT_ONCE * 3
        while gate.waiting < MOST_AT_ONCE:
            await asyncio.sleep(0)
        gate.opened.set()
        while stored(database, Status.RUNNING):
            await asyncio.sleep(0)
        assert gate.most == MOST_AT_ONCE
        results = [one.result["payload"] for one in stored(database, Status.SUCCEEDED)]
        assert results == list(range(MOST_AT_ONCE * 3))
        await dispatcher.close()

    database = prepared()
    asyncio.run(scenario(database))
    database.close()


def test_an_event_too_many_fails_at_once_and_says_so() -> None:
    async def scenario(database: Database) -> None:
        gate = Gate()
        dispatcher = Dispatcher(database, hosts=gate, compiler=Verbatim(), base_url="http://127.0.0.1", most_waiting=3)
        for number in range(5):
            dispatcher.fire("some.event", {"n": number})
        failed = stored(database, Status.FAILED)
        assert [one.args["n"] for one in failed] == [3, 4]
        assert failed[0].result["error"]["message"] == "3 events were waiting for their run already"
        await dispatcher.close()
        assert not stored(database, Status.RUNNING)
        given_up = stored(database, Status.FAILED)[0]
        assert given_up.result["error"]["message"] == "the emulator stopped before this run ended"

    database = prepared()
    asyncio.run(scenario(database))
    database.close()


def test_preparing_that_fails_is_noted_and_the_run_goes_on() -> None:
    lines: list[str] = []

    async def scenario(database: Database) -> None:
        gate = Gate()
        gate.opened.set()
        dispatcher = Dispatcher(
            database, hosts=gate, compiler=Verbatim(), base_url="http://127.0.0.1", on_event=lines.append
        )
        function = functions.find(database, 1)
        version = functions.current_version(database, 1)
        assert function is not None
        assert version is not None
        await dispatcher.version_created(function, version)
        dispatcher.runtime_changed()
        run = await dispatcher.run("some.event", {"n": 7})
        assert run is not None
        assert run.invocation.result == {"payload": 7}
        await dispatcher.close()

    database = prepared()
    asyncio.run(scenario(database))
    database.close()
    assert lines == ["some.event v1 SUCCEEDED in 0 ms"]
