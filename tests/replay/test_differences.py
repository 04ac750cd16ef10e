"""Differences between two runs, and the calls that correspond to each other."""

from __future__ import annotations

from typing import Any

from ckfunc.model.application import ApiCall, Status
from ckfunc.replay.differences import ABSENT, MOST, Observed, changes, differences, document_of, kind, paired, shape
from ckfunc.replay.report import place


def call(method: str, path: str, query: Any = (), body: Any = None) -> dict[str, Any]:
    return {"method": method, "path": path, "query": [list(path) for path in query], "body": body}


def test_calls_of_one_operation_have_the_same_shape() -> None:
    assert shape(call("GET", "/users/7", [("size", "5")])) == shape(call("GET", "/users/8", [("size", "6")]))
    assert shape(call("GET", "/users/7")) != shape(call("GET", "/channels/7"))
    assert shape(call("GET", "/users/7")) == "GET /users/*"


def test_equal_calls_are_paired_before_calls_of_the_same_shape() -> None:
    before = [call("POST", "/a/1", body=1), call("POST", "/a/1", body=2), call("GET", "/b")]
    after = [call("GET", "/b"), call("POST", "/a/1", body=2), call("POST", "/a/2", body=3), call("GET", "/c/d")]
    assert sorted(paired(before, after), key=str) == sorted([(0, 2), (1, 1), (2, 0), (None, 3)], key=str)


def test_true_differs_from_1_and_null_from_an_absent_key() -> None:
    assert [place(change.path) for change in changes({"a": True, "b": None, "c": 1}, {"a": 1, "c": 1.0})] == ["a", "b"]
    assert kind(ABSENT) == "absent"


def test_an_inserted_item_is_one_difference() -> None:
    found = list(changes({"a": [1, 2, 3]}, {"a": [1, 9, 2, 3]}))
    assert [(change.path, change.before, change.after) for change in found] == [(("a", 1), ABSENT, 9)]


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
    errors = [Observed(Status.FAILED, {"error": {"name": "E", "message": "m", "stack": stack}}) for stack in "ab"]
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
