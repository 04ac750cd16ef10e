"""The dispatcher's queue when events arrive faster than they can run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ckfunc.base.errors import NodeMissing
from ckfunc.emulator.dispatch.dispatcher import MOST_AT_ONCE, Dispatcher
from ckfunc.emulator.dispatch.recording import Depths
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.http.problems import Unauthorized
from ckfunc.emulator.store import application, functions, invocations
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.model.application import ConsoleLine, Invocation, NewFunction, Status
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerVersion, Outcome


class Verbatim:
    """A compiler that returns every script unchanged."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled, ...]:
        return tuple(Compiled(name, source, "{}", "cjs") for name, source in scripts)


class Gate:
    """Hosts whose runs wait until the gate is opened; counts the waiting runs."""

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
        determinism: Determinism | None = None,
    ) -> Outcome:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.opened.wait()
        self.waiting -= 1
        return Outcome(str(event["n"]), None)

    async def prepare(self, environment: Environment, versions: Sequence[HandlerVersion]) -> None:
        raise RuntimeError("preparation always fails")


def stored(database: Database, status: Status) -> list[Invocation]:
    page = invocations.page(database, 1, PageRequest(0, 2000, "id ASC"))
    assert page.total_elements == len(page.items)
    return [item for item in page.items if item.status is status]


def prepared() -> Database:
    database = open_database(None, SCHEMA)
    application.create_if_missing(database)
    functions.create(database, NewFunction("some.event", "Some Event"))
    functions.add_version(database, 1, "function handleEvent() {}")
    return database


def test_queued_events_run_in_order_with_limited_concurrency() -> None:
    async def scenario(database: Database) -> None:
        gate = Gate()
        dispatcher = Dispatcher(
            database, hosts=gate, compiler=Verbatim(), base_url="http://127.0.0.1", keep_invocations=1000
        )
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
        results = [invocation.result["payload"] for invocation in stored(database, Status.SUCCEEDED)]
        assert results == list(range(MOST_AT_ONCE * 3))
        await dispatcher.close()

    database = prepared()
    asyncio.run(scenario(database))
    database.close()


def test_an_event_beyond_the_queue_limit_fails_immediately_with_the_reason() -> None:
    async def scenario(database: Database) -> None:
        gate = Gate()
        dispatcher = Dispatcher(
            database,
            hosts=gate,
            compiler=Verbatim(),
            base_url="http://127.0.0.1",
            keep_invocations=1000,
            most_waiting=3,
        )
        for number in range(5):
            dispatcher.fire("some.event", {"n": number})
        failed = stored(database, Status.FAILED)
        assert [invocation.args["n"] for invocation in failed] == [3, 4]
        assert failed[0].result["error"]["message"] == "3 events are already waiting for their run"
        await dispatcher.close()
        assert not stored(database, Status.RUNNING)
        given_up = stored(database, Status.FAILED)[0]
        assert given_up.result["error"]["message"] == "the emulator stopped before this run ended"

    database = prepared()
    asyncio.run(scenario(database))
    database.close()


def test_a_run_succeeds_although_its_preparation_failed() -> None:
    lines: list[str] = []

    async def scenario(database: Database) -> None:
        gate = Gate()
        gate.opened.set()
        dispatcher = Dispatcher(
            database,
            hosts=gate,
            compiler=Verbatim(),
            base_url="http://127.0.0.1",
            keep_invocations=1000,
            on_event=lines.append,
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
    assert lines == ["some.event v1 SUCCEEDED in 0.0 ms"]


class NoNode:
    """A compiler on a machine without Node."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled, ...]:
        raise NodeMissing("no Node was found", hint="set CKFUNC_NODE")


def test_versions_are_stored_without_node_and_runs_fail_with_a_hint() -> None:
    lines: list[str] = []

    async def scenario(database: Database) -> None:
        dispatcher = Dispatcher(
            database,
            hosts=Gate(),
            compiler=NoNode(),
            base_url="http://127.0.0.1",
            keep_invocations=1000,
            on_event=lines.append,
        )
        function = functions.find(database, 1)
        version = functions.current_version(database, 1)
        assert function is not None
        assert version is not None
        await dispatcher.version_created(function, version)
        application.set_initialization_script(database, "export const a = 1")
        await dispatcher.initialization_script_changed("export const a = 1")
        assert lines == ["no Node was found"] * 2
        run = await dispatcher.run("some.event", {"n": 7})
        assert run is not None
        assert run.invocation.status is Status.FAILED
        assert run.invocation.result["error"]["name"] == "NodeMissing"
        assert run.invocation.result["error"]["message"] == "no Node was found (set CKFUNC_NODE)"
        await dispatcher.close()

    database = prepared()
    asyncio.run(scenario(database))
    database.close()


class Stopped:
    """A clock that only advances with `sleep`."""

    at_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


def test_tokens_expire_exactly_and_many_sign_ins_keep_the_newest_token_valid() -> None:
    clock = Stopped()
    tokens = Tokens(clock, lifetime_s=10)
    first = tokens.sign_in("emulator", "emulator")
    clock.sleep(9.9)
    tokens.check(f"Bearer {first}")
    clock.sleep(0.1)
    with pytest.raises(Unauthorized):
        tokens.check(f"Bearer {first}")
    for _ in range(1001):
        last = tokens.sign_in("emulator", "emulator")
    tokens.check(f"Bearer {last}")


def test_the_depth_of_an_event_chain_is_discarded_after_many_chained_events() -> None:
    depths = Depths()
    depths.note(1, 5)
    assert (depths.below(None), depths.below(1), depths.below(2)) == (0, 6, 1)
    for number in range(2, 30_000):
        depths.note(number, 0)
    assert depths.below(1) == 6
    for number in range(2, 30_000):
        depths.note(number, 1)
    assert depths.below(1) == 1
