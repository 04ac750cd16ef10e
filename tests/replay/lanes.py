"""Lanes whose handlers are Python functions of the event and a world."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ckfunc.model.application import ApiCall, Invocation, Status
from ckfunc.model.execution import Determinism
from ckfunc.replay.differences import Observed
from ckfunc.replay.report import Replay
from ckfunc.replay.run import Open, Pair, replay

START = datetime(2024, 5, 1, 10, 0, tzinfo=UTC)


@dataclass
class World:
    """The surroundings of a handler: `random` and `now_ms` are deterministic, `wild` is not."""

    now_ms: int
    random: random.Random
    wild: random.Random
    calls: list[ApiCall] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, status: int = 200) -> None:
        self.calls.append(ApiCall(method, path, body, status))


Handler = Callable[[Mapping[str, Any], World], Any]


class PythonLane:
    def __init__(self, handler: Handler, wild: random.Random) -> None:
        self.handler = handler
        self.wild = wild
        self.times: list[Determinism] = []

    def __call__(self, event: Mapping[str, Any], determinism: Determinism) -> Observed:
        self.times.append(determinism)
        world = World(determinism.now_ms, random.Random(determinism.seed), self.wild)
        try:
            payload = self.handler(event, world)
        except Exception as error:
            failed = {"error": {"name": type(error).__name__, "message": str(error), "stack": f"at {id(error)}"}}
            return Observed(Status.FAILED, failed, tuple(world.calls))
        return Observed(Status.SUCCEEDED, {"payload": payload}, tuple(world.calls))


def recorded(count: int, event: Callable[[int], Mapping[str, Any]] = lambda number: {"n": number}) -> list[Invocation]:
    return [
        Invocation(number, 1, Status.SUCCEEDED, event(number), {"payload": None}, START + timedelta(minutes=number))
        for number in range(1, count + 1)
    ]


def opening(deployed: Handler, working: Handler, wild_seed: int = 1) -> Open:
    wild = random.Random(wild_seed)

    @contextmanager
    def open_pair() -> Iterator[Pair]:
        yield Pair(PythonLane(deployed, wild), PythonLane(working, wild))

    return open_pair


def replayed(deployed: Handler, working: Handler, count: int = 20, **options: Any) -> Replay:
    return replay(recorded(count), opening(deployed, working), **options)
