"""The limit on concurrent requests after a 429."""

from __future__ import annotations

import threading

from support.loopback import Reply, Request, serve
from support.scripted import StepClock

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.api.sender import Throttle, Wait
from ckfunc.base.clock import SystemClock
from ckfunc.base.secrets import Secret


def answered(pace: Throttle, status: int, wait_s: float = 0.0) -> None:
    with pace.turn() as heard:
        heard(status, wait_s)


def test_a_429_halves_the_limit_and_successes_restore_it() -> None:
    pace = Throttle(SystemClock(), 8)
    turns = [pace.turn() for _ in range(8)]
    tell = [turn.__enter__() for turn in turns]
    for heard in tell:  # all of them were sent before the limit changed, so it is halved once
        heard(429, 0.0)
    for turn in turns:
        turn.__exit__(None, None, None)
    assert pace.limit == 4
    answered(pace, 429)
    assert pace.limit == 1  # a single request was in progress
    for _ in range(1 + 2 + 3 + 4):
        answered(pace, 200)
    assert pace.limit == 5
    for _ in range(100):
        answered(pace, 404)
    assert pace.limit == 8


def test_every_request_waits_for_the_time_in_a_429() -> None:
    clock, held = StepClock(), list[float]()
    pace = Throttle(clock, 8, held.append)
    answered(pace, 429, 7.0)
    answered(pace, 200)
    assert held == [7.0] and clock.slept == [7.0]
    answered(pace, 200)
    assert held == [7.0]


def test_a_lost_connection_does_not_change_the_limit() -> None:
    pace = Throttle(SystemClock(), 4)
    with pace.turn() as heard:
        heard(None, 9.0)
    with pace.turn():
        assert pace.limit == 4


def test_the_number_of_concurrent_requests_is_limited() -> None:
    under_way, most, lock = 0, 0, threading.Lock()
    refusals = iter([429])

    def answer(request: Request) -> Reply:
        nonlocal under_way, most
        if "oauth" in request.path:
            return Reply(body={"access_token": "t", "expires_in": 3600})
        with lock:
            if (status := next(refusals, 200)) == 429:
                return Reply(status, {"error": "slow down"}, headers={"Retry-After": "0"})
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.02)
        with lock:
            under_way -= 1
        return Reply(body={"id": 1, "key": "k", "createdTime": "2024-01-01T00:00:00.000Z"})

    waits: list[Wait] = []
    with (
        serve(answer) as server,
        Client(
            Connection(server.url, f"{server.url}/oauth/token", "id", Secret("secret")), on_wait=waits.append
        ) as client,
    ):
        client.application()  # one refusal limits to one request at a time until enough requests have succeeded
        threads = [threading.Thread(target=client.application) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [wait.reason.partition(" ")[2] for wait in waits] == ["answered 429"]
    assert most <= 3
