"""Reports of a replay, as text and as JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any

from replay.lanes import PythonLane, World, opening, recorded, replayed
from support.terminals import plain_text

from ckfunc.base.secrets import Secret
from ckfunc.model.application import Status
from ckfunc.replay.differences import Observed
from ckfunc.replay.report import Redaction, Replay, replay_json, replay_lines
from ckfunc.replay.run import Pair, replay

CANARY = "canary+value/with=signs"


def leaking(event: Any, world: World) -> Any:
    world.call("GET", f"/users?name={'canary%2Bvalue%2Fwith%3Dsigns'}")
    world.call("POST", "/users", {CANARY: event["authParams"]["password"], "authParams": {"pin": 1}})
    return {"env": f"<{CANARY}>", "long": [CANARY] * 40, "auth": event["authParams"], "n": 123456}


def test_secrets_are_masked_in_the_text_and_in_the_json() -> None:
    rows = recorded(6, lambda number: {"username": "jane", "authParams": {"password": "hunter22", "n": 123456}})
    for sides in ((lambda event, world: None, leaking), (leaking, lambda event, world: None)):
        found = replay(rows, opening(*sides))
        redaction = Redaction([Secret(CANARY), Secret("x")])
        for text in (plain_text(replay_lines(found, redaction)), json.dumps(replay_json(found, redaction))):
            assert "••••" in text or "\\u2022" in text
            for secret in (CANARY, "canary%2B", "hunter22", "123456"):
                assert secret not in text


def test_the_first_differences_are_shown_and_the_others_counted_by_place() -> None:
    def before(event: Any, world: World) -> Any:
        world.call("POST", "/channels/1/messages", {"body": "x\n" * 80})
        return {"n": 1, "gone": True, "text": "line\n" * 50}

    def after(event: Any, world: World) -> Any:
        world.call("POST", "/channels/1/messages", {"body": "x\n" * 80 + "y"})
        world.call("DELETE", "/users/1")
        return {"n": 2, "new": [1], "text": "line\n" * 50 + "more"}

    found = replayed(before, after, 5)
    text = plain_text(replay_lines(found, Redaction([])))
    assert "#1  2024-05-01 10:01:00  v1" in text
    assert "  ~ result.n: 1 → 2\n" in text
    assert "  - result.gone: true\n" in text
    assert "  + result.new: [1]\n" in text
    assert "  + DELETE /users/1\n" in text
    assert "  ~ POST /channels/1/messages: body.body\n" in text
    assert "    +y\n" in text
    assert "#4" not in text
    assert "2 more invocations differ, at:\n      2 " in text
    assert text.endswith("5 replayed, 0 equal, 5 different\n")


def test_the_json_contains_every_invocation() -> None:
    found = replayed(lambda event, world: event["n"], lambda event, world: min(event["n"], 2), 3)
    document = replay_json(found, Redaction([]))
    assert (document["replayed"], document["equal"], document["different"], document["ok"]) == (3, 2, 1, False)
    assert [invocation["verdict"] for invocation in document["invocations"]] == ["equal", "equal", "different"]
    assert document["invocations"][2]["changes"] == [{"path": "result", "before": 3, "after": 2}]


def test_blocked_servers_and_local_failures_are_reported() -> None:
    class Blocked(PythonLane):
        def __call__(self, *given: Any) -> Observed:
            error = {"error": {"name": "Error", "message": "connect ENETUNREACH"}}
            return Observed(Status.FAILED, error, blocked=("api.example.com:443",))

    @contextmanager
    def open_pair() -> Any:
        yield Pair(Blocked(None, None), Blocked(None, None))  # type: ignore[arg-type]  # neither is used

    text = plain_text(replay_lines(replay(recorded(2), open_pair), Redaction([])))
    assert "2 invocations tried to reach api.example.com:443: allow it with --network" in text
    assert "2 recorded as successful also fail here with the deployed version, such as #1: connect ENETUNREACH" in text
    assert "2 replayed, 0 equal, 0 different, 2 failed on both sides" in text


def test_an_empty_replay_is_reported() -> None:
    assert plain_text(replay_lines(Replay(), Redaction([]))) == "nothing recorded to replay\n"
