"""Reading test files, and reporting their errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from testing.files import SENT, START, read

from ckfunc.base.secrets import revealed
from ckfunc.manifest.kinds import schema_of
from ckfunc.model.application import Status
from ckfunc.model.fault import Fault
from ckfunc.testing.case import ExpectedCall, ExpectedValue
from ckfunc.testing.definition import CASES
from ckfunc.testing.reading import InvalidCases, NoTestFile, find_files

WHOLE = """\
type: user.sent.message
data:
  users: [{name: jane, id: 7, displayName: Jane, properties: {vip: true}}]
  channels:
    - {name: desk, id: 9, members: [jane], messages: [{id: 3, user: jane, body: hello}, {body: from the system}]}
environment: {DESK: desk, SIZE: "10"}
cases:
  - name: everything
    event: {user: {id: 7, name: jane}, count: 1, half: 0.5, no: null, text: "1", flag: false, list: [a, 2]}
    environment: {SIZE: "11"}
    expect:
      result: {answered: true}
      console: [first, second]
      calls:
        - {method: POST, path: /channels/9/messages, body: {body: hi}, status: 201}
        - path: /users/*
      other_calls: false
  - name: it fails
    type: user.attempted.start_session
    event: {username: jane}
    expect: {error: denied, error_matches: "^denied"}
  - {name: skipped, sample: true, skip: waits for the new API}
  - name: skipped without a reason
    sample: true
    skip: true
    faults:
      - {operation: createUser, status: 429, retry_after: 3, first: 2}
      - {delay: 1.5s, lost: true, rate: 12.5%, seed: 4}
    expect: {result_includes: {a: 1}}
"""


def test_a_file_with_every_key_is_read(tmp_path: Path) -> None:
    first, second, third, fourth = read(tmp_path, WHOLE)
    assert (first.file, first.line, first.name, first.type) == ("tests/a.yaml", 8, "everything", SENT)
    assert first.event == {
        **{"user": {"id": 7, "name": "jane"}, "count": 1, "half": 0.5, "no": None, "text": "1", "flag": False},
        "list": ["a", 2],
    }
    assert revealed(first.environment) == {"DESK": "desk", "SIZE": "11"}
    assert [(user.name, user.id, user.display_name, user.properties) for user in first.seed.users] == [
        ("jane", 7, "Jane", {"vip": True})
    ]
    (desk,) = first.seed.channels
    assert (desk.id, desk.channel.name, [message.body for message in desk.messages]) == (
        9,
        "desk",
        ["hello", "from the system"],
    )
    assert first.expect.result == ExpectedValue({"answered": True})
    assert first.expect.console == ("first", "second")
    assert first.expect.calls == (
        ExpectedCall("POST", "/channels/9/messages", ExpectedValue({"body": "hi"}, subset=True), 201),
        ExpectedCall(path="/users/*"),
    )
    assert not first.expect.other_calls
    assert (second.type, second.expect.status) == (START, Status.FAILED)
    assert (second.expect.error, second.expect.error_matches) == ("denied", "^denied")
    assert (third.skip, third.event["message"]["body"]) == ("waits for the new API", "hi")
    assert (fourth.skip, fourth.expect.result) == ("", ExpectedValue({"a": 1}, subset=True))
    assert fourth.faults == (
        Fault("createUser", 429, 3, first=2),
        Fault(delay_ms=1500, lost=True, rate_percent=12.5, seed=4),
    )


def test_the_editor_schema_accepts_valid_files_and_refuses_invalid_ones() -> None:
    schema = schema_of(CASES, "tests")
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(WHOLE), schema, cls=jsonschema.Draft7Validator)
    for wrong in ({"cases": []}, {"cases": [{"name": "a", "evnt": {}}]}, {"cases": [{"event": {}}]}, {}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema, cls=jsonschema.Draft7Validator)


def test_an_event_is_merged_over_the_sample_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "tests/events").mkdir(parents=True)
    (tmp_path / "tests/events/one.json").write_text(json.dumps({"message": {"body": "from a file", "id": 1}}))
    text = """\
type: user.sent.message
cases:
  - {name: a, sample: true, event: {message: {body: bye}}}
  - {name: b, file: events/one.json, event: {message: {body: [1]}}}
  - {name: c, file: ./events/one.json}
"""
    events = [case.event for case in read(tmp_path, text)]
    assert events[0] == {"user": {"id": 1, "name": "jane"}, "message": {"body": "bye", "type": "TEXT"}}
    assert events[1] == {"message": {"body": [1], "id": 1}}
    assert events[2] == {"message": {"body": "from a file", "id": 1}}


HEAD = "type: user.sent.message\ncases:\n"

MISTAKES = [
    ("", "a.yaml:1:1: the file is empty"),
    ("cases:\n", "a.yaml:1:1: cases is empty"),
    ("cases: []\n", "a.yaml:1:1: cases is empty"),
    ("cases: {a: 1}\n", "a.yaml:1:8: cases must be a list, not a mapping"),
    ("type: user.sent.message\n", "a.yaml:1:1: the file has no `cases`"),
    ("case: []\ncases: [{name: a, sample: true, type: user.sent.message}]\n", "1:1: unknown key 'case' in the file"),
    ("cases:\n  - {name: a, event: {}}\n", "2:5: the case has no `type`"),
    ("type: user.sent.mesage\ncases:\n  - {name: a, event: {}}\n", "(did you mean user.sent.message?)"),
    (HEAD + "  - {event: {}}\n", "3:5: a case has no `name`"),
    (HEAD + "  - {name: a}\n", "3:5: the case has no event"),
    (HEAD + "  - {name: a, event: {}}\n  - {name: a, event: {}}\n", "4:12: the case at line 3 has the same name"),
    (HEAD + "  - {name: a, evnt: {}}\n", "unknown key 'evnt' in a case (did you mean event?)"),
    (HEAD + "  - {name: a, event: []}\n", "3:22: event must be a mapping, not a list"),
    (HEAD + "  - {name: a, event: {a: yes}}\n", "3:26: some YAML parsers read this as a boolean, others as a string"),
    (
        HEAD + "  - {name: a, event: {a: 0042}}\n",
        "3:26: some YAML parsers read this as a number, others as a string (quote",
    ),
    (HEAD + "  - {name: a, event: {a: 1, a: 2}}\n", "3:29: duplicate key, first at line 3, column 23"),
    (HEAD + "  - {name: a, event: {}, name: b}\n", "3:26: duplicate key 'name'"),
    (HEAD + "  - {name: a, sample: true, file: x.json}\n", "`sample` and `file` can't be used together"),
    (HEAD + "  - {name: a, file: x.json}\n", "3:21: file 'tests/x.json' does not exist"),
    (HEAD + "  - {name: a, file: ../../x.json}\n", "is outside the project"),
    (HEAD + "  - {name: a, file: broken.json}\n", "tests/broken.json:1:2: invalid JSON"),
    (HEAD + "  - {name: a, file: list.json}\n", "tests/list.json:1:1: the event is not a JSON object"),
    (HEAD + "  - {name: a, type: user.attempted.start_session, sample: true}\n", "there is no sample: unknown trigger"),
    (HEAD + "  - {name: a, event: {}, expect: {status: succeeded}}\n", "status must be one of SUCCEEDED, FAILED"),
    (
        HEAD + "  - {name: a, event: {}, expect: {error: x, status: SUCCEEDED}}\n",
        "a SUCCEEDED run has no error",
    ),
    (HEAD + "  - {name: a, event: {}, expect: {error: x, result: 1}}\n", "a FAILED run has no result"),
    (
        HEAD + "  - {name: a, event: {}, expect: {result: 1, result_includes: 1}}\n",
        "`result` and `result_includes` can't be used together",
    ),
    (HEAD + "  - {name: a, event: {}, expect: {other_calls: false}}\n", "`other_calls` needs `calls`"),
    (HEAD + "  - {name: a, event: {}, expect: {error_matches: '('}}\n", "error_matches is not a regular expression"),
    (HEAD + "  - {name: a, event: {}, expect: {calls: [{method: post}]}}\n", "method must be one of GET, HEAD, POST"),
    (HEAD + "  - {name: a, event: {}, expect: {calls: [{path: users}]}}\n", "path is not a path of the API"),
    (HEAD + "  - {name: a, event: {}, expect: {calls: [{status: 99}]}}\n", "status must be a whole number"),
    (HEAD + "  - {name: a, event: {}, expect: {calls: }}\n", "calls has no value (an empty list is `[]`)"),
    (HEAD + "  - {name: a, event: {}, skip: [1]}\n", "skip must be a reason, or true"),
    (HEAD + "  - {name: a, event: {}, environment: {A: 1}}\n", "A is a number, and must be a string"),
    (HEAD + "  - {name: a, event: {}, environment: {CHATKITTY_X: a}}\n", "belongs to the platform"),
    (HEAD + "  - {name: a, event: {}, data: {users: [{id: 1}]}}\n", "a user has no `name`"),
    (HEAD + "  - {name: a, event: {}, data: {users: [{name: a, is_guest: true, isGuest: true}]}}\n", "both spellings"),
    (
        HEAD + "  - {name: a, event: {}, data: {channels: [{name: b, members: [ann]}]}}\n",
        "user 'ann' is not under `users`",
    ),
    (HEAD + "  - {name: a, event: {}, data: {channels: [{type: DIRECT}]}}\n", "invalid initial data"),
    (HEAD + "  - {name: a, event: {}, faults: [{lost: true, operation: sendMesage}]}\n", "3:48: there is no operation"),
    (HEAD + "  - {name: a, event: {}, faults: [{operation: createUsr}]}\n", "(did you mean createUser?)"),
    (
        HEAD + "  - {name: a, event: {}, faults: [{first: 1}]}\n",
        "3:35: a fault needs a status, a delay or a lost response",
    ),
    (
        HEAD + "  - {name: a, event: {}, faults: [{status: 430}]}\n",
        "3:36: the status is 430; it must be 429 or from 500 to 599",
    ),
    (HEAD + "  - {name: a, event: {}, faults: [{status: 404}]}\n", "status must be a whole number (from 429 to 599"),
    (
        HEAD + "  - {name: a, event: {}, faults: [{delay: 5}]}\n",
        "delay is a number, and must be a string (such as 500ms or 2s)",
    ),
    (HEAD + "  - {name: a, event: {}, faults: [{delay: soon}]}\n", "'soon' is not a duration (such as 500ms or 2s)"),
    (
        HEAD + "  - {name: a, event: {}, faults: [{lost: true, rate: often}]}\n",
        "rate is not a percentage (such as 20%)",
    ),
    (HEAD + "  - {name: a, event: {}, faults: [{lost: true, rate: 20}]}\n", "rate is a number, and must be a string"),
    (HEAD + "  - {name: a, event: {}, faults: [{lost: true, seed: 7}]}\n", "a seed needs a rate"),
    (HEAD + "  - {name: a, event: {}, faults: [{lost: true, retry_after: 1}]}\n", "3:48: Retry-After needs a status"),
    (HEAD + "  - {name: a, event: {}, faults: [{lost: true, frist: 1}]}\n", "(did you mean first?)"),
    (HEAD + "  - {name: a, event: {}\n", "3:5: this { or [ is not closed, or a comma is missing in it"),
    (HEAD + "  - {name: a, event: " + "{a: " * 2_000 + "\n", "3:139: this is nested too deeply (at most 32 levels)"),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_an_invalid_test_file_is_reported_with_the_position(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/broken.json").write_text("{")
    (tmp_path / "tests/list.json").write_text("[]")
    with pytest.raises(InvalidCases) as caught:
        read(tmp_path, text)
    assert any(told in str(problem) for problem in caught.value.problems), caught.value.problems


def test_errors_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/b.yml").write_text("cases: 1\n")
    with pytest.raises(InvalidCases) as caught:
        read(tmp_path, HEAD + "  - {nam: a, event: {}}\n  - {name: b, evnt: {}, skip: 0}\n")
    assert caught.value.message.startswith("the tests have ")
    assert {problem.path for problem in caught.value.problems} == {"tests/a.yaml", "tests/b.yml"}
    assert len(caught.value.problems) >= 6


def test_files_are_found_in_directories_or_by_path(tmp_path: Path) -> None:
    assert find_files(tmp_path) == ()
    (tmp_path / "tests/deep").mkdir(parents=True)
    for name in ("tests/b.yaml", "tests/deep/a.yml", "tests/event.json"):
        (tmp_path / name).write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]
    assert found == ["tests/b.yaml", "tests/deep/a.yml"]
    assert find_files(tmp_path, [tmp_path / "tests/b.yaml", tmp_path / "tests"]) == find_files(tmp_path)
    with pytest.raises(NoTestFile, match="nothing"):
        find_files(tmp_path, [tmp_path / "nothing"])


@pytest.mark.parametrize("text", ["", "x", "cases: [", "- a", "cases: [[]]", "cases: [1, [], null, {}]", "? [a]\n: b"])
def test_a_file_without_valid_cases_is_refused_with_positions(tmp_path: Path, text: Any) -> None:
    with pytest.raises(InvalidCases) as caught:
        read(tmp_path, text)
    assert all(problem.path == "tests/a.yaml" and problem.line for problem in caught.value.problems)
