"""A deploy of many functions: the number of requests, at most eight at a time."""

from __future__ import annotations

import itertools
import threading
import tracemalloc

import pytest
from deploy.world import World
from support.loopback import Reply, Request

from ckfunc.base.clock import SystemClock
from ckfunc.deploy import run

MANY = [f"custom.type_{number:03}" for number in range(500)]
SCRIPT = "export async function handleEvent(event, context) {\n  return event;\n}\n" * 30


@pytest.mark.slow
def test_five_hundred_functions_cost_close_to_the_minimum_of_requests(here: World) -> None:
    project = here.project({name: f"// {name}\n{SCRIPT}" for name in MANY})
    report = here.deploy(project)
    assert report.ok and len(report.items) == 500
    # The token; runtime and list before and after; each function and its version. In addition, checks for concurrent
    # deploys, which simultaneous writes share.
    least = 1 + 2 + 500 + 500 + 2
    assert least + 2 <= len(here.calls()) <= 1.1 * least
    assert set(here.application.history().values()) == {1}
    here.forget_calls()
    tracemalloc.start()
    try:
        assert here.plan(project).is_empty
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(here.calls()) == 3
    assert peak_bytes < 50 * 1024 * 1024


class Crawling(SystemClock):
    """A clock that advances one second with each reading, as with a slow network."""

    def __init__(self) -> None:
        self._passed = itertools.count()

    def monotonic_s(self) -> float:
        return float(next(self._passed))

    def sleep(self, seconds: float) -> None:
        pass


@pytest.mark.slow
def test_a_slow_network_does_not_increase_the_requests_of_five_hundred_functions(here: World) -> None:
    def deploy(script: str) -> int:
        here.forget_calls()
        project = here.project({name: f"// {name}\n{script}" for name in MANY}, environment={"KEY": script})
        with here.new_client() as client:
            report = run.deploy(project, client, check=here.check, confirm=lambda _: True, clock=Crawling())
        assert report.ok
        return len(here.calls())

    assert deploy("a\n") <= 1.1 * (1 + 2 + 1 + 500 + 500 + 2)
    assert deploy("b\n") <= 1.1 * (1 + 2 + 1 + 500 + 2)


@pytest.mark.parametrize("functions", [1, 5, 32])
def test_a_small_deploy_over_a_slow_network_checks_before_every_write(here: World, functions: int) -> None:
    for name in MANY[:functions]:
        here.application.add(name, "a\n")
    with here.new_client() as client:
        project = here.project(dict.fromkeys(MANY[:functions], "b\n"))
        assert run.deploy(project, client, check=here.check, confirm=lambda _: True, clock=Crawling()).ok
    # In addition to those of the plan, the first check, and the verification.
    assert here.calls().count("GET /runtimes/nodejs/functions") == 3 + functions


@pytest.mark.slow
def test_the_first_plan_of_five_hundred_functions_reads_each_once(here: World) -> None:
    for name in MANY:
        here.application.add(name, SCRIPT)
    assert here.plan(here.project(dict.fromkeys(MANY, SCRIPT))).is_empty
    assert len(here.calls()) == 3 + 500


@pytest.mark.parametrize("phase", ["read", "create", "publish"])
def test_at_most_eight_requests_run_concurrently(here: World, phase: str) -> None:
    types = MANY[:40]
    if phase != "create":
        for name in types:
            here.application.add(name, "a\n")
    # Each request waits until eight have arrived, or long enough for a ninth to arrive.
    gate = threading.Barrier(8)

    def hold(request: Request) -> Reply | None:
        if "current-version" in request.path or (request.method == "POST" and "oauth" not in request.path):
            try:
                gate.wait(timeout=0.2)
            except threading.BrokenBarrierError:
                threading.Event().wait(0.02)
        return None

    here.application.before = hold
    script = "a\n" if phase == "read" else "b\n"
    assert here.deploy(here.project(dict.fromkeys(types, script))).ok
    assert here.application.most_at_once == 8


def test_the_runtime_is_written_before_functions_and_functions_before_versions(here: World) -> None:
    here.application.add(MANY[0], "a\n")
    here.deploy(
        here.project(dict.fromkeys(MANY[:30], "b\n"), dependencies={"a": "1"}, environment={"A": "1"}, script="i\n")
    )
    order = {"PUT": 0, "functions": 1, "versions": 2}
    ranks = [order["PUT"] if call.startswith("PUT") else order[call.rpartition("/")[2]] for call in here.writes()]
    assert ranks == sorted(ranks) and ranks.count(1) == 29 and ranks.count(2) == 30
