from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from support.invocations import invocations
from support.loopback import Request

from ckfunc.base.errors import Unreachable
from ckfunc.logs.together import together


def test_results_come_in_the_order_of_the_jobs_and_a_failure_of_the_api_is_one() -> None:
    failure = Unreachable("gone")

    def fail() -> int:
        raise failure

    assert together([lambda: 1, fail, lambda: 3]) == [1, failure, 3]
    assert together([fail]) == [failure]
    assert together([]) == []


def test_no_more_than_so_many_run_at_a_time() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()
    full = threading.Barrier(3, timeout=10)

    def job() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        full.wait()
        with lock:
            running.pop()

    together([job] * 9, at_once=3)
    assert max(most) == 3


@pytest.mark.parametrize("count", [1, 3])
def test_a_bug_of_ours_is_raised_in_the_callers_thread(count: int) -> None:
    def broken() -> int:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        together([broken] * count)


FOLLOW = """
import sys
from ckfunc.api import Client, Connection
from ckfunc.logs.follow import follow
url = sys.argv[1]
with Client(Connection(url, url + "/oauth/token", "id", "secret")) as client:
    try:
        for item in follow(client):
            pass
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_interrupt_ends_following_while_requests_are_under_way() -> None:
    with invocations("a", "b") as served:
        asked = threading.Event()
        release = threading.Event()
        rounds = 0

        def before(request: Request) -> None:
            nonlocal rounds
            if "/invocations" in request.path:
                rounds += 1
                if rounds > 4:
                    asked.set()
                    served.lock.release()
                    release.wait(60)
                    served.lock.acquire()

        served.before = before
        program = subprocess.Popen(
            [sys.executable, "-c", FOLLOW, served.server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert asked.wait(30)
            program.send_signal(signal.SIGINT)
            output, errors = program.communicate(timeout=20)
        finally:
            release.set()
            program.kill()
            program.wait()
        assert (output, errors, program.returncode) == ("interrupted\n", "", 0)
