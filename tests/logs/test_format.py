"""Log entries as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ckfunc.base.text import plain
from ckfunc.logs.entries import Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.logs.format import cells, json_line, lines, record, summary
from ckfunc.model.application import ConsoleLine, Invocation, InvocationDetail, Status

AT = datetime(2024, 5, 1, 6, 37, 1, 766000, tzinfo=UTC)
UNSET: Any = object()


def entry(
    status: Status = Status.SUCCEEDED,
    *,
    args: Any = UNSET,
    result: Any = UNSET,
    console: tuple[ConsoleLine, ...] | None = None,
    duration_ms: float | None = 12.3,
    trigger_type: str = "user.attempted.start_session",
) -> LogEntry:
    row = Invocation(
        id=468510,
        version_number=34,
        status=status,
        args={"username": "jane@x.org", "authParams": {}} if args is UNSET else args,
        result={"payload": ["Hello jane@x.org"]} if result is UNSET else result,
        created_time=AT,
    )
    detail = None if console is None else InvocationDetail(row.id, console, duration_ms)
    return LogEntry(trigger_type, row, detail)


def text(item: Item, **how: Any) -> list[str]:
    return [plain(line) for line in lines(item, **how)]


def test_an_invocation_is_one_line_followed_by_its_result() -> None:
    assert text(entry()) == [
        "06:37:01.766 [468510] user.attempted.start_session v34 SUCCEEDED  jane@x.org",
        '  → ["Hello jane@x.org"]',
    ]


def test_console_output_and_duration_are_shown_if_known() -> None:
    said = (ConsoleLine("log", "one\ntwo"), ConsoleLine("error", "three"))
    assert text(entry(console=said), width=100) == [
        "06:37:01.766 [468510] user.attempted.start_session v34 SUCCEEDED 12 ms  jane@x.org",
        "  log   one",
        "        two",
        "  error three",
        '  → ["Hello jane@x.org"]',
    ]


def test_a_failure_shows_its_message_and_its_mapped_stack() -> None:
    error = {
        "name": "TypeError",
        "message": "x is\nnot a function",
        "stack": "TypeError: x is\nnot a function\n    at handleEvent (handlers/a.ts:3:9)\n    at run (host.mjs:1:1)\n",
    }
    made = lines(entry(Status.FAILED, result={"error": error}))
    assert [plain(line) for line in made[1:]] == [
        "  TypeError: x is",
        "  not a function",
        "    at handleEvent (handlers/a.ts:3:9)",
        "    at run (host.mjs:1:1)",
    ]
    assert made[1][0][1] == "failure"


def test_causes_and_properties_are_shown_in_the_order_of_the_stack() -> None:
    stack = """Error: outer
    at handleEvent (handlers/a.ts:3:9)
    { code: 'E_X' }
  Error 1 of 2: TypeError: inner
      at read (handlers/a.ts:1:1)
Caused by: SyntaxError: bad
    at JSON.parse (<anonymous>)"""
    made = lines(entry(Status.FAILED, result={"error": {"name": "Error", "message": "outer", "stack": stack}}))
    assert [(plain(line), line[0][1]) for line in made[1:]] == [
        ("  Error: outer", "failure"),
        ("    at handleEvent (handlers/a.ts:3:9)", "muted"),
        ("      { code: 'E_X' }", "muted"),
        ("    Error 1 of 2: TypeError: inner", "failure"),
        ("      at read (handlers/a.ts:1:1)", "muted"),
        ("  Caused by: SyntaxError: bad", "failure"),
        ("    at JSON.parse (<anonymous>)", "muted"),
    ]


@pytest.mark.parametrize(
    ("name", "message", "head", "shown"),
    [
        ("NotFound", "gone", "Error: gone", ["  NotFound: gone"]),  # the name was set later
        ("Error", "while reading: gone", "Error: gone", ["  Error: while reading: gone"]),  # the message was set later
        ("TypeError", "TypeError", "TypeError", ["  TypeError"]),
        ("Error", "gone", "Error: other words", ["  Error: gone", "  Error: other words"]),
    ],
)
def test_the_first_line_of_a_stack_is_shown_unless_it_repeats_the_message(
    name: str, message: str, head: str, shown: list[str]
) -> None:
    error = {"name": name, "message": message, "stack": f"{head}\n    at f (a.ts:1:1)"}
    made = text(entry(Status.FAILED, result={"error": error}))
    assert made[1:] == [*shown, "    at f (a.ts:1:1)"]


def test_omitted_lines_of_a_long_stack_are_counted() -> None:
    stack = "\n".join(f"    at f (a.ts:{number}:1)" for number in range(250))
    made = text(entry(Status.FAILED, result={"error": {"name": "Error", "message": "x", "stack": stack}}))
    assert made[-1] == "  … 50 more lines of the stack; --json has all of it"


def test_console_output_is_split_at_newlines_and_carriage_returns() -> None:
    said = (ConsoleLine("log", ""), ConsoleLine("log", "a\n\n"), ConsoleLine("log", "10%\r20%\r\nend"))
    assert text(entry(console=said))[1:-1] == [
        "  log   ",
        "  log   a",
        "        ",
        "        ",
        "  log   10%",
        "        20%",
        "        end",
    ]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"error": "plain words"}, ["  plain words"]),
        ({"error": {"code": 5}}, ['  {"error": {"code": 5}}']),
        ({"message": "other"}, ['  {"message": "other"}']),
        ({"error": {"message": "m", "stack": 5}}, ["  m"]),
        ({}, []),
    ],
)
def test_a_failure_with_an_unexpected_structure_is_shown_unchanged(result: Any, shown: list[str]) -> None:
    assert text(entry(Status.FAILED, result=result))[1:] == shown


def test_an_invocation_without_a_result_is_one_line() -> None:
    assert text(entry(Status.RUNNING, result={})) == [
        "06:37:01.766 [468510] user.attempted.start_session v34 RUNNING  jane@x.org"
    ]
    assert len(text(entry(result={"payload": None}))) == 1
    assert text(entry(result={"payload": False}))[1] == "  → false"


def test_times_are_shown_in_the_given_zone_with_an_optional_date() -> None:
    zone = timezone(timedelta(hours=-7))
    assert text(entry(), zone=zone)[0].startswith("23:37:01.766 ")
    assert text(entry(), zone=zone, dated=True)[0].startswith("2024-04-30 23:37:01.766 ")


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [(0.04, "0.0 ms"), (9.94, "9.9 ms"), (10.4, "10 ms"), (999.4, "999 ms"), (9999.0, "10.0 s"), (12_345.0, "12.3 s")],
)
def test_durations_have_a_unit(duration_ms: float, shown: str) -> None:
    assert f"SUCCEEDED {shown}  " in text(entry(console=(), duration_ms=duration_ms))[0]


@pytest.mark.parametrize("width", [80, 60, 40])
def test_arguments_and_results_are_truncated_to_the_width(width: int) -> None:
    for letter in ("x", "字", "e\u0301"):
        made = text(entry(args={"username": letter * 500}, result={"payload": letter * 500}), width=width)
        head = cells(made[0])
        assert head <= max(width, len("06:37:01.766 [468510] user.attempted.start_session v34 SUCCEEDED"))
        assert cells(made[1]) <= width
        assert made[1].endswith("…")


def test_without_a_width_nothing_is_truncated() -> None:
    made = text(entry(args={"username": "x" * 500}, result={"payload": "y" * 500}), width=None)
    assert "x" * 500 in made[0]
    assert "y" * 500 in made[1]


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ({"username": "jane", "user": {"name": "jane"}}, "jane"),
        (
            {"user": {"name": "jane"}, "channel": {"name": "general"}, "message": {"body": 'say "hi"\n'}},
            'jane #general "say \\"hi\\"\\n"',
        ),
        ({"user": {"displayName": "Jane"}, "event": {"type": "poked"}}, "Jane poked"),
        ({"user": 5, "channel": [], "message": "x"}, '{"user": 5, "channel": [], "message": "x"}'),
        ({"other": {"a": 1}}, '{"other": {"a": 1}}'),
    ],
)
def test_arguments_are_summarized_as_user_channel_and_message(args: dict[str, Any], shown: str) -> None:
    assert summary(args) == shown


def test_remote_text_cannot_control_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;title\x07\r\x9b31m\u202ebad\ud800\u2028"
    items: list[Item] = [
        entry(
            args={"username": evil},
            result={"payload": evil},
            console=(ConsoleLine(evil, evil + "\n" + evil),),
            trigger_type=evil,
        ),
        entry(Status.FAILED, result={"error": {"name": evil, "message": evil, "stack": f"at {evil}\n  at {evil}"}}),
        entry(Status.FAILED, result={"error": evil}),
        entry(args={evil: evil}),
        Trouble(evil, 1.0),
        Gap(evil, evil),
    ]
    for item in items:
        for line in text(item):
            assert not [
                character
                for character in line
                if character in evil and not character.isalnum() and character not in "[];"
            ], line


def test_long_console_output_is_truncated() -> None:
    made = text(entry(console=(ConsoleLine("log", "\n".join(map(str, range(1000)))),)))
    assert len(made) == 203
    assert "--json has all of it" in made[201]


def test_errors_recoveries_and_gaps_are_one_line_each() -> None:
    assert text(Trouble("it broke", 2.0)) == ["trouble: it broke; next attempt in 2 s"]
    assert text(Recovered(3)) == ["recovered: following again after 3 failed attempts"]
    assert text(Gap("a", "why")) == ["gap: a: why"]
    assert text(Gap(None, "why")) == ["gap: why"]


def test_the_json_form_contains_every_field_under_its_documented_name() -> None:
    assert record(entry()) == {
        "id": 468510,
        "type": "user.attempted.start_session",
        "version": 34,
        "status": "SUCCEEDED",
        "createdTime": "2024-05-01T06:37:01.766Z",
        "args": {"username": "jane@x.org", "authParams": {}},
        "result": {"payload": ["Hello jane@x.org"]},
    }
    more = record(entry(console=(ConsoleLine("log", "x"),)))
    assert more["console"] == [{"level": "log", "text": "x"}]
    assert more["durationMs"] == 12.3
    assert "durationMs" not in record(entry(console=(), duration_ms=None))


def test_a_json_line_is_always_one_line_of_ascii() -> None:
    given = entry(args={"username": "字\n\x1b[31m\x7f\u2028\ud800"})
    line = json_line(given)
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["args"]["username"] == "字\n\x1b[31m\x7f\u2028\ud800"


def test_wide_and_combining_characters_are_counted_in_columns() -> None:
    assert [cells(text) for text in ("abc", "字", "e\u0301", "👍", "a\u200db")] == [3, 2, 1, 2, 2]
