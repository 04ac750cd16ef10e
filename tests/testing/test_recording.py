"""Recorded runs as cases, and writing cases to files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from testing.files import SENT, read

from ckfunc.base.secrets import secret_values
from ckfunc.model.application import ApiCall, Invocation, InvocationDetail, Status
from ckfunc.testing.reading import InvalidCases
from ckfunc.testing.recording import CannotAddCase, CannotRecord, case_text, free_name, new_file, recorded, with_case

CASE: dict[str, Any] = {
    "name": "invocation 7",
    "type": SENT,
    "event": {"user": {"id": 7, "name": "jane"}, "message": {"body": "yes", "type": "TEXT"}, "n": [1, 2.5, None, True]},
    "expect": {"result": {"text": 'a "quoted" text: with\nlines', "empty": {}, "none": []}},
}


def invocation(status: Status = Status.SUCCEEDED, **changes: Any) -> Invocation:
    made: dict[str, Any] = {"args": {"user": {"id": 7}}, "result": {"payload": {"a": 1}}}
    created = datetime(2026, 1, 15, tzinfo=UTC)
    return Invocation(id=7, version_number=3, status=status, created_time=created, **{**made, **changes})


def written(tmp_path: Path, before: str, case: dict[str, Any] = CASE) -> Any:
    after = with_case(before, case, "tests/a.yaml")
    pairs = enumerate(zip(before, after, strict=False))
    same = next((index for index, (left, right) in pairs if left != right), len(before))
    rest = len(before) - same
    assert after.endswith(before[same:]), "an existing line was removed or moved"
    assert rest == 0 or after[len(after) - rest - 1] == "\n"
    added = read(tmp_path, after)[-1]
    assert (added.name, added.type, added.event) == (case["name"], case["type"], case["event"])
    assert added.expect.result is not None
    assert added.expect.result.value == case["expect"]["result"]
    return after


def test_a_new_file_contains_the_case(tmp_path: Path) -> None:
    text = new_file(CASE, "../.ckfunc/tests.schema.json")
    (added,) = read(tmp_path, text)
    assert added.event == CASE["event"]
    assert text.startswith(
        "# yaml-language-server: $schema=../.ckfunc/tests.schema.json\ntype: user.sent.message\n\ncases:\n"
    )


HEAD = "type: user.sent.message\n"
BLOCK = "event:\n      x: |\n        text\n"
COMMENTED = "  # first\n  - name: a\n    type: user.sent.message\n    event: {}\n    # of a\n# of the file\n"


@pytest.mark.parametrize(
    "before",
    [
        HEAD + "cases:\n  - {name: a, event: {}}\n",
        HEAD + "cases:\n- name: a\n  event: {}\n",
        HEAD + "cases:\n  - name: a\n    event: {}",
        HEAD + "cases:\n  - name: a\n    event:\n      x:\n        - 1\n        - 2   # two\n\n\n# the end\n",
        f"cases:\n{COMMENTED}{HEAD}",
        HEAD + "\ncases:\n  - name: a\n    event: {}\n\n  - name: b\n    event: {x: 1}\n",
        HEAD + f"cases:\n  - name: a\n    {BLOCK}\n  - name: b\n    {BLOCK}environment: {{A: b}}\n",
        f"type: user.attempted.start_session\ncases:\n    -   name: a\n        event: {{}}\n        {HEAD}",
        HEAD + "cases:\n  - name: a\n    event: &e\n      x: {}\n  - name: b\n    event: *e\n",
        "# only this\n---\ncases: # here\n  - {name: a, event: {}, type: user.sent.message}\n",
    ],
)
def test_a_case_is_appended_and_no_other_line_changes(tmp_path: Path, before: str) -> None:
    once = written(tmp_path, before)
    written(tmp_path, once, {**CASE, "name": "another"})


def test_crlf_newlines_are_preserved(tmp_path: Path) -> None:
    after = with_case("type: user.sent.message\r\ncases:\r\n  - {name: a, event: {}}\r\n", CASE, "a.yaml")
    assert after.count("\n") == after.count("\r\n")


def test_a_new_case_follows_an_empty_line_if_the_others_do() -> None:
    before = "type: user.sent.message\ncases:\n  - name: a\n    event: {}\n\n  - name: b\n    event: {}\n"
    assert '\n\n  - name: "invocation 7"\n' in with_case(before, CASE, "a.yaml")


@pytest.mark.parametrize(
    "before", ["", "cases: []", "cases: [{name: a, event: {}}]", "{cases: []}", "- a", "cases:\n", "x: 1"]
)
def test_a_file_to_which_no_case_can_be_added_is_refused(before: str) -> None:
    with pytest.raises(CannotAddCase):
        with_case(before, CASE, "a.yaml")


def test_a_file_that_is_not_yaml_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidCases) as caught:
        with_case("cases: [", CASE, "a.yaml")
    assert caught.value.problems[0].path == "a.yaml"


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "0042",
        "",
        " x ",
        "#",
        "a: b",
        "\u2028",
        "\x07",
        "a\nb",
        "'",
        '"',
        "~",
        "{",
        "- a",
        "${X}",
        "ü",
        "🐱",
        1e300,
        -0.0,
        2**60,
    ],
)
def test_values_survive_a_round_trip_through_yaml(tmp_path: Path, value: Any) -> None:
    wide = {"name": "a" * 90, "deep": [{"x": "b" * 120, "v": value}, [value, "c" * 120]], "d": {"e" * 100: value}}
    (added,) = read(tmp_path, new_file({**CASE, "event": {"v": value, "w": wide}}, "x"))
    assert added.event == {"v": value, "w": wide}


def test_characters_that_hide_or_reorder_text_are_escaped(tmp_path: Path) -> None:
    text = new_file({**CASE, "event": {"a\u202e": "\u2066x\u200b"}}, "x.json")
    assert r'"a\u202e": "\u2066x\u200b"' in text
    assert read(tmp_path, text)[0].event == {"a\u202e": "\u2066x\u200b"}


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert yaml.safe_load(case_text({"name": "a", "event": {"x": "\ud83d"}}))[0]["event"] == {"x": "\ufffd"}


def test_a_run_becomes_a_case_with_its_outcome() -> None:
    made = recorded(invocation(), SENT, None, name="a", environment=())
    assert made.case == {
        **{"name": "a", "type": SENT, "now": "2026-01-15T00:00:00.000Z", "event": {"user": {"id": 7}}},
        "expect": {"result": {"a": 1}},
    }
    nothing = recorded(invocation(result={}), SENT, None, name="a", environment=())
    assert nothing.case["expect"] == {"result": None}
    thrown = invocation(Status.FAILED, result={"error": {"name": "Error", "message": "boom", "stack": ""}})
    assert recorded(thrown, SENT, None, name="a", environment=()).case["expect"] == {"error": "boom"}
    mute = invocation(Status.FAILED, result={})
    assert recorded(mute, SENT, None, name="a", environment=()).case["expect"] == {"status": "FAILED"}


def test_recorded_calls_become_expected_calls() -> None:
    calls = (
        ApiCall("POST", "/users", {"name": "a"}, 201),
        ApiCall("GET", "/users/1", None, 0),
        ApiCall("POST", "/x", {"$cut": 9}, 200),
        ApiCall("POST", "/y", {"file": {"$file": "a.png"}}, 200),
    )
    made = recorded(invocation(), SENT, InvocationDetail(7, calls=calls), name="a", environment=())
    assert made.case["expect"] == {
        "result": {"a": 1},
        "calls": [
            {"method": "POST", "path": "/users", "body": {"name": "a"}, "status": 201},
            {"method": "GET", "path": "/users/1"},
            {"method": "POST", "path": "/x", "status": 200},
            {"method": "POST", "path": "/y", "status": 200},
        ],
        "other_calls": False,
    }
    more = recorded(invocation(), SENT, InvocationDetail(7, calls=calls, calls_omitted=1), name="a", environment=())
    assert "other_calls" not in more.case["expect"]


def test_environment_values_in_the_run_become_variables_of_the_case() -> None:
    run = invocation(args={"authParams": {"code": "0042"}}, result={"payload": {"greeting": "good morning"}})
    made = recorded(
        run, SENT, None, name="a", environment=secret_values({"CODE": "0042", "GREETING": "good morning"}).items()
    )
    assert made.case["environment"] == {"CODE": "0001", "GREETING": "redacted-2"}
    assert made.case["expect"] == {"result": {"greeting": "redacted-2"}}
    assert [redaction.placeholder for redaction in made.redactions] == ["0001", "redacted-2"]


def test_a_running_or_too_deeply_nested_run_cannot_become_a_case() -> None:
    with pytest.raises(CannotRecord, match="still running"):
        recorded(invocation(Status.RUNNING), SENT, None, name="a", environment=())
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(CannotRecord, match="too deeply"):
        recorded(invocation(args=deep), SENT, None, name="a", environment=())


def test_a_duplicate_name_gets_a_number() -> None:
    assert [free_name("a", taken) for taken in ((), ("a",), ("a", "a (2)"))] == ["a", "a (2)", "a (3)"]
