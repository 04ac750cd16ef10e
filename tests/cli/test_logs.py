"""`ckfunc logs`: lists, single invocations and time ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TYPE, SENT = "user.attempted.start_session", "user.sent.message"
HANDLER = """\
async function handleEvent(event: any, context: any) {
  console.log("hello", event.username);
  await context.ChatKitty.Users.listUsers();
  if (event.username === "john") {
    throw new TypeError("no such luck");
  }
  return { greeting: "Hello " + event.username, more: "x".repeat(200) };
}
"""


@pytest.fixture
def local(ckfunc: Callable[..., Any], project: Path) -> Path:
    """The project on the emulator, with three invocations: 1 and 3 of jane, 2 of john, which failed."""
    manifest = project / "functions.yaml"
    text = manifest.read_text().replace("default_target: remote", "default_target: local")
    manifest.write_text(text.replace("targets:", "  user.sent.message: {handler: handlers/start.ts}\ntargets:"))
    (project / "handlers/start.ts").write_text(HANDLER)
    assert ckfunc("-C", project, "deploy").code == 0
    for name in ("jane", "john", "jane"):
        ckfunc("-C", project, "trigger", TYPE, "--data", json.dumps({"username": name}))
    return project


def test_a_list_shows_ids_and_reports_omitted_older_invocations(ckfunc: Callable[..., Any], local: Path) -> None:
    ran = ckfunc("-C", local, "logs", "-n", "2")
    heads = [line for line in ran.out.splitlines() if not line.startswith(" ")]
    assert [re.search(r"\d\d\.\d{3} \[(\d+)\] user\.", head)[1] for head in heads] == ["2", "3"]  # type: ignore[index]
    assert "older invocations are not shown: use -n 8" in ran.err
    left_out = ckfunc("-C", local, "logs", "--status", "SUCCEEDED", "-n", "1").err
    assert "older invocations are not shown" in left_out
    for arguments in ([], ["-n", "3"], ["--status", "FAILED", "-n", "1"], ["-n", "0"], ["--since", "1d"]):
        assert "older" not in ckfunc("-C", local, "logs", *arguments).err, arguments
    assert "older" not in ckfunc("-C", local, "logs", "-n", "2", "--json").out


def test_a_single_invocation_is_shown_in_full(ckfunc: Callable[..., Any], local: Path) -> None:
    ran = ckfunc("-C", local, "logs", "1")
    assert ran.code == 0 and ran.err == ""
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[1\] user\.attempted\.start_session v1 SUCCEEDED", ran.out)
    assert '  event {\n    "username": "jane"' in ran.out
    assert "  log   hello jane\n" in ran.out
    assert '  result {\n    "greeting": "Hello jane",\n' in ran.out and "x" * 200 in ran.out
    assert "⇢ GET /users 200" in ran.out
    failed = ckfunc("-C", local, "logs", "2", "1")
    assert "  TypeError: no such luck\n" in failed.out and "at handleEvent" in failed.out
    assert failed.out.index("[2]") < failed.out.index("[1]")
    assert json.loads(ckfunc("-C", local, "logs", "2", "--json").out)["result"]["error"]["name"] == "TypeError"


def test_unknown_ids_and_list_options_with_an_id_are_refused(ckfunc: Callable[..., Any], local: Path) -> None:
    ran = ckfunc("-C", local, "logs", "999")
    assert ran.code == 1 and "target 'local' has no invocation 999" in ran.err
    for options in (["-f"], ["-n", "3"], ["--until", "1h"]):
        ran = ckfunc("-C", local, "logs", "1", *options)
        assert ran.code == 2 and "can't be used with an ID" in ran.err


def test_a_list_can_be_limited_with_until_and_named_days(ckfunc: Callable[..., Any], local: Path) -> None:
    def ids(*options: str) -> list[int]:
        ran = ckfunc("-C", local, "logs", "--json", *options)
        assert ran.code == 0
        return [json.loads(line)["id"] for line in ran.out.splitlines()]

    second = json.loads(ckfunc("-C", local, "logs", "2", "--json").out)["createdTime"]
    assert ids("--until", second) == [1, 2]
    assert ids("--since", second, "--until", second) == [2]
    assert ids("--until", "1h") == []
    assert ids("--since", "yesterday") == [1, 2, 3]
    ran = ckfunc("-C", local, "logs", "--since", "1h", "--until", "2h")
    assert ran.code == 2 and "--until is before --since" in ran.err
    ran = ckfunc("-C", local, "logs", "-f", "--until", "2h")
    assert ran.code == 2 and "can't be used together" in ran.err
    ran = ckfunc("-C", local, "logs", "--since", "last week")
    assert ran.code == 2 and "invalid --since value 'last week'" in ran.err and "yesterday" in ran.err


def test_invoke_accepts_an_id_from_the_list(ckfunc: Callable[..., Any], local: Path) -> None:
    shown = ckfunc("-C", local, "logs", "-n", "1").out
    number = re.search(r"\[(\d+)\]", shown)
    assert number
    ran = ckfunc("-C", local, "invoke", TYPE, "--from-invocation", number[1])
    assert ran.code == 0 and "Hello jane" in ran.out
    missing = ckfunc("-C", local, "invoke", SENT, "--from-invocation", number[1])
    assert missing.code == 1 and f"has no invocation {number[1]} of {SENT}" in missing.err
