"""Interrupts while a log is followed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from support.invocations import invocations
from support.loopback import Request

FOLLOW = """
import sys
from ckfunc.base.secrets import Secret
from ckfunc.api import Client, Connection
from ckfunc.logs.follow import follow
url = sys.argv[1]
with Client(Connection(url, url + "/oauth/token", "id", Secret("secret"))) as client:
    try:
        for item in follow(client):
            pass
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_interrupt_ends_following_during_requests() -> None:
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
