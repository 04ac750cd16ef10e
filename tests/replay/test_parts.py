"""Parts of a replay: text templates, paired calls, seeds, secrets and output."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import Any

import pytest
from replay.lanes import PythonLane, World, opening, recorded, replayed

from ckfunc.base.secrets import Secret
from ckfunc.base.text import plain_text
from ckfunc.model.application import ApiCall, Status
from ckfunc.model.chat import ChannelType
from ckfunc.replay.differences import ABSENT, MOST, Observed, changes, differences, document_of, kind, paired, shape
from ckfunc.replay.report import Redaction, Replay, place, replay_json, replay_lines
from ckfunc.replay.run import Pair, determinism_of, replay, variations
from ckfunc.replay.verdict import fits, form, template
from ckfunc.sandbox.mentions import seed_of


@pytest.mark.parametrize(
    ("texts", "like", "unlike"),
    [
        (["Hello at 12:00", "Hello at 13:01"], ["Hello at 9:59"], ["Hi at 12:00", "Hello there at 12:00", "Hello at"]),
        (["a-1", "a-22"], ["a-3", "a-x"], ["b-1", "a"]),
        (["x", "y"], ["anything at all", ""], []),
        (["[1] one", "[2] two"], ["[3] three"], ["3 three", "[3]"]),
        (["at 2024-05-01T10:00:00.000Z, ok", "at 2024-05-01T10:01:01.001Z, ok"], ["at 2031-01-01T00:00Z, ok"], ["ok"]),
        (["same", "same"], ["same"], ["other"]),
    ],
)
def test_a_template_matches_texts_with_the_same_constant_parts(
    texts: list[str], like: list[str], unlike: list[str]
) -> None:
    made = template(texts)
    assert all(fits(made, one) for one in [*texts, *like])
    assert not any(fits(made, one) for one in unlike)


def test_very_long_texts_have_no_template() -> None:
    assert template(["a" * 6_000, "b"]) is None
    assert fits(None, "c")


def test_times_and_uuids_are_recognized() -> None:
    assert form("2024-05-01T10:00:00Z") == "time"
    assert form("c2d7b2a4-24fc-4d0f-b4a3-6d9e1b7a7d10") == "uuid"
    assert form("now") is None


def call(method: str, path: str, query: Any = (), body: Any = None) -> dict[str, Any]:
    return {"method": method, "path": path, "query": [list(one) for one in query], "body": body}


def test_calls_of_one_operation_have_the_same_shape() -> None:
    assert shape(call("GET", "/users/7", [("size", "5")])) == shape(call("GET", "/users/8", [("size", "6")]))
    assert shape(call("GET", "/users/7")) != shape(call("GET", "/channels/7"))
    assert shape(call("GET", "/users/7")) == "GET /users/*"


def test_equal_calls_are_paired_before_calls_of_the_same_shape() -> None:
    before = [call("POST", "/a/1", body=1), call("POST", "/a/1", body=2), call("GET", "/b")]
    after = [call("GET", "/b"), call("POST", "/a/1", body=2), call("POST", "/a/2", body=3), call("GET", "/c/d")]
    assert sorted(paired(before, after), key=str) == sorted([(0, 2), (1, 1), (2, 0), (None, 3)], key=str)


def test_true_differs_from_1_and_null_from_an_absent_key() -> None:
    assert [place(one.path) for one in changes({"a": True, "b": None, "c": 1}, {"a": 1, "c": 1.0})] == ["a", "b"]
    assert kind(ABSENT) == "absent"


def test_an_inserted_item_is_one_difference() -> None:
    found = list(changes({"a": [1, 2, 3]}, {"a": [1, 9, 2, 3]}))
    assert [(one.path, one.before, one.after) for one in found] == [(("a", 1), ABSENT, 9)]


def test_differences_of_large_results_are_limited() -> None:
    before = {"items": [{"n": number} for number in range(40_000)]}
    after = {"items": [{"n": -number} for number in range(40_005)]}
    assert len(differences(before, after)) == MOST


def test_sandbox_addresses_and_stacks_are_not_differences() -> None:
    def at(port: int) -> Observed:
        url = f"http://127.0.0.1:{port}"
        call = ApiCall("POST", "/x", {"next": f"{url}/v1/users"}, 200)
        return Observed(Status.SUCCEEDED, {"payload": {"href": f"{url}/v1"}}, (call,), url=url)

    assert document_of(at(4000)) == document_of(at(5000))
    errors = [Observed(Status.FAILED, {"error": {"name": "E", "message": "m", "stack": one}}) for one in "ab"]
    assert document_of(errors[0]) == document_of(errors[1])


def test_paths_of_scripts_and_processes_are_not_differences() -> None:
    def told(runtime: str, file: str, place: str) -> Observed:
        stack = f"Error: no\n    at handleEvent (file:///c/runtimes/{runtime * 32}/handlers/{file}{place})"
        windows = stack.replace("/", "\\")
        result = {"payload": {"stack": stack, "other": windows, "tmp": f"/tmp/ckfunc-{runtime * 8}/x"}}
        call = ApiCall("POST", "/channels/1/messages", {"body": stack}, 200)
        return Observed(Status.SUCCEEDED, result, (call,))

    deployed = told("a", "user-sent-message-12-6547d4b1467f800e5db4.mjs", "?21:58:18")
    working = told("b", "user-sent-message-268ad0c59703d8ad6318.mjs", "?3:61:9")
    assert document_of(deployed) == document_of(working)
    assert document_of(deployed) != document_of(told("b", "user-read-message-268ad0c59703d8ad6318.mjs", ":1:1"))


def test_a_replayed_run_has_its_recorded_time_and_its_own_seed() -> None:
    first, second = recorded(2)
    assert determinism_of(first).now_ms == int(first.created_time.timestamp() * 1000)
    assert determinism_of(first) == determinism_of(first)
    assert determinism_of(first).seed != determinism_of(second).seed
    others = list(variations(determinism_of(first)))
    assert len({one.seed for one in (determinism_of(first), *others)}) == 3
    assert all(one.seed < 2**53 for one in others)


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
    assert [one["verdict"] for one in document["invocations"]] == ["equal", "equal", "different"]
    assert document["invocations"][2]["changes"] == [{"path": "result", "before": 3, "after": 2}]


def test_blocked_servers_and_local_failures_are_reported() -> None:
    class Blocked(PythonLane):
        def run(self, *given: Any) -> Observed:
            error = {"error": {"name": "Error", "message": "connect ENETUNREACH"}}
            return Observed(Status.FAILED, error, blocked=("api.example.com:443",))

    @contextmanager
    def open_pair() -> Any:
        yield Pair(Blocked(None, None), Blocked(None, None))  # type: ignore[arg-type]  # neither is used

    text = plain_text(replay_lines(replay(recorded(2), open_pair), Redaction([])))
    assert "2 invocations tried to reach api.example.com:443: allow it with --network" in text
    assert "2 recorded as successful also fail here with the deployed version, such as #1: connect ENETUNREACH" in text
    assert "2 replayed, 0 equal, 0 different, 2 failed on both sides" in text


def test_an_error_of_a_lane_ends_the_replay() -> None:
    stopped = threading.Event()

    class Breaking(PythonLane):
        def run(self, *given: Any) -> Observed:
            raise OSError("no Node")

    @contextmanager
    def open_pair() -> Any:
        yield Pair(Breaking(None, None), Breaking(None, None), stopped.set)  # type: ignore[arg-type]  # neither is used

    with pytest.raises(OSError, match="no Node"):
        replay(recorded(5), open_pair, jobs=2)
    assert stopped.is_set()


def test_progress_is_reported_for_every_invocation() -> None:
    told: list[int] = []
    handler = lambda event, world: None  # noqa: E731 - a short handler
    replay(recorded(4), opening(handler, handler), on_progress=told.append)
    assert told == [1, 2, 3, 4]


def user(user_id: int, name: str, **more: Any) -> dict[str, Any]:
    presence = {"status": "AVAILABLE", "online": True}
    base = {"id": user_id, "type": "PERSON", "name": name, "displayName": name.title(), "presence": presence}
    return {**base, "isGuest": False, "properties": {}, **more}


def channel(channel_id: int, **more: Any) -> dict[str, Any]:
    base = {"id": channel_id, "type": "PUBLIC", "name": f"c{channel_id}", "displayName": f"C {channel_id}"}
    return {**base, "createdTime": "2024-05-01T10:00:00Z", "properties": {}, **more}


def message(message_id: int, channel_id: int, by: dict[str, Any]) -> dict[str, Any]:
    base = {"id": message_id, "type": "TEXT", "channelId": channel_id, "body": f"m{message_id}", "user": by}
    return {**base, "nestedLevel": 0, "properties": {}, "createdTime": "2024-05-01T10:00:00Z"}


def test_resources_in_events_are_seeded_with_their_recorded_ids() -> None:
    jane, john = user(702, "jane"), user(703, "john")
    events = [
        {"user": jane, "channel": channel(55), "message": message(9001, 55, jane)},
        {"user": john, "channel": channel(77, type="DIRECT", name=None, members=[jane, john])},
        {"user": {**jane, "displayName": "Jane the 2nd"}, "message": message(9002, 66, john)},
    ]
    seed = seed_of(events)
    users = sorted((one.id, one.name, one.display_name) for one in seed.users)
    assert users == [(702, "jane", "Jane the 2nd"), (703, "john", "John")]
    by_id = {one.id: one for one in seed.channels}
    assert set(by_id) == {55, 66, 77}
    assert [one.id for one in by_id[55].messages] == [9001]
    assert [one.username for one in by_id[77].channel.members] == ["jane", "john"]
    assert by_id[77].channel.type is ChannelType.DIRECT
    assert by_id[66].channel.name == "channel-66"
    assert [one.id for one in by_id[66].messages] == [9002]


def test_resources_in_manual_events_are_seeded() -> None:
    events = [
        {"user": user(702, "jane"), "channel": channel(55, name="desk")},
        {"user": {"id": 702}, "channel": {"id": 55}},
        {"user": {"id": 8, "name": "eve"}, "channel": {"id": 9, "type": "PRIVATE"}, "message": {"body": "hi"}},
        {"user": {"name": "nobody"}, "channel": {"id": "x"}, "message": "hi"},
    ]
    seed = seed_of(events)
    assert {one.id: one.name for one in seed.users} == {702: "jane", 8: "eve", None: "nobody"}
    assert {one.id: one.channel.name for one in seed.channels} == {55: "desk", 9: "channel-9"}
    members = {one.id: [who.username for who in one.channel.members] for one in seed.channels}
    assert members == {55: ["jane"], 9: ["eve"]}


def test_reused_names_and_malformed_events_do_not_break_the_seed() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    events = [
        {"user": user(1, "jane")},
        {"user": user(2, "jane"), "channel": channel(5, creator=user(1, "jane")), "event": deep},
        {"user": {"id": "x"}, "channel": None, "username": "y", "authParams": {"user": user(9, "eve")}},
        {"user": user(0, "zero"), "channel": channel(6, type="DIRECT", name=None)},
    ]
    seed = seed_of(events)
    assert len({one.name for one in seed.users}) == len(seed.users)
    assert {one.name for one in seed.users} == {"jane"}
    assert [one.id for one in seed.channels] == [5]


def test_an_empty_replay_is_reported() -> None:
    assert plain_text(replay_lines(Replay(), Redaction([]))) == "nothing recorded to replay\n"
