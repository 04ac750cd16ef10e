"""Stack traces of deployed handlers without local imports."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli.conftest import Ckfunc, start, written
from support.commands import Command

TYPE = "user.attempted.start_session"
FILES = {
    "functions.yaml": f"""\
version: 1
runtime:
  initialization_script: init.ts
functions:
  {TYPE}: {{handler: handlers/start.ts}}
targets:
  local: {{emulator: true}}
""",
    "init.ts": "export const check = (name: string) => {\n  if (name === 'mute') throw new Error('no voice');\n};\n",
    "handlers/start.ts": """\
function find(name: string): never {
  console.error(new Error(`looking for ${name}`));
  throw new Error("nobody is there", { cause: new Error("gone") });
}

async function handleEvent(event: { username: string }) {
  check(event.username);
  if (event.username === "nobody") find(event.username);
}
""",
}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A project whose scripts import nothing."""
    return written(tmp_path / "plain", FILES)


def test_stack_frames_point_to_the_file_if_it_is_deployed_unchanged(ckfunc: Ckfunc, plain: Path) -> None:
    assert ckfunc("-C", plain, "deploy").code == 0
    ran = start(ckfunc, plain, "nobody")
    for text in (ran.out, ckfunc("-C", plain, "logs").out):
        lines = text.splitlines()
        assert "    at find (handlers/start.ts:3:9)" in lines  # thrown
        assert "            at find (handlers/start.ts:2:17)" in lines  # printed
        at = lines.index("  Caused by: Error: gone")
        assert lines[at + 1] == "    at find (handlers/start.ts:3:47)"
        assert f"{TYPE}@1" not in text
    # JSON output has the platform's stack trace.
    (entry,) = map(json.loads, ckfunc("-C", plain, "logs", "--json").out.splitlines())
    assert f"at find ({TYPE}@1.ts:3:9)" in entry["result"]["error"]["stack"]


def test_init_script_frames_point_to_its_file_only_in_the_run_itself(ckfunc: Ckfunc, plain: Path) -> None:
    assert ckfunc("-C", plain, "deploy").code == 0
    ran = start(ckfunc, plain, "mute")
    assert "at check (init.ts:2:30)" in ran.out
    assert "at handleEvent (handlers/start.ts:7:3)" in ran.out
    assert "initialization-script.ts:2:30" in ckfunc("-C", plain, "logs").out


def test_frames_of_a_version_that_differs_from_the_file_show_the_version(ckfunc: Ckfunc, plain: Path) -> None:
    assert ckfunc("-C", plain, "deploy").code == 0
    start(ckfunc, plain, "nobody")
    handler = plain / "handlers/start.ts"
    handler.write_text("// one more line\n" + handler.read_text())
    assert f"at find ({TYPE}@1.ts:3:9)" in ckfunc("-C", plain, "logs").out
    assert ckfunc("-C", plain, "deploy").code == 0
    start(ckfunc, plain, "nobody")
    text = ckfunc("-C", plain, "logs").out
    assert f"at find ({TYPE}@1.ts:3:9)" in text
    assert "at find (handlers/start.ts:4:9)" in text


def test_a_script_name_in_an_error_message_becomes_the_file_name(ckfunc: Ckfunc, plain: Path) -> None:
    (plain / "handlers/start.ts").write_text("function handleEvent() { throw new Error(__filename); }\n")
    assert ckfunc("-C", plain, "deploy").code == 0
    assert "  Error: handlers/start.ts" in start(ckfunc, plain, "jane").out.splitlines()


def test_every_command_shows_all_output_and_errors_of_a_run(ckfunc: Ckfunc, plain: Path) -> None:
    (plain / "handlers/start.ts").write_text("""\
import { writeSync } from "node:fs";

async function handleEvent(event: any, context: any) {
  process.stdout.write("begun, ");
  console.log("completed");
  writeSync(2, "to descriptor 2\\n");
  process.emitWarning("use another", "DeprecationWarning");
  try {
    await context.ChatKitty.Users.retrieveUser(99);
  } catch (error) {
    throw new AggregateError([error, new TypeError("second")], "both", { cause: "the reason" });
  }
}
""")
    (plain / "tests").mkdir()
    case = f"cases:\n  - {{name: fails, type: {TYPE}, event: {{username: jane}}}}\n"
    (plain / "tests/a.yaml").write_text(case)
    assert ckfunc("-C", plain, "deploy").code == 0
    for ran in (
        ckfunc("-C", plain, "invoke", TYPE),
        start(ckfunc, plain, "jane"),
        ckfunc("-C", plain, "logs"),
        ckfunc("-C", plain, "test"),
    ):
        expected = [
            "log   begun, completed",
            "error to descriptor 2",
            "warn  DeprecationWarning: use another",
            "Error 1 of 2: Error: GET /v1/users/99 failed with status 404: Resource not found: ",
            "at handleEvent (handlers/start.ts:9:35)",
            "Error 2 of 2: TypeError: second",
            "at handleEvent (handlers/start.ts:11:",
            "Caused by: the reason",
        ]
        assert [line for line in expected if line not in ran.out] == [], ran.out


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
@pytest.mark.slow
def test_watch_shows_stack_frames_with_file_names(ckfunc: Ckfunc, plain: Path) -> None:
    with ExitStack() as commands:
        commands.enter_context(Command("-C", plain, "emulator", "--port", "0")).until("ready http://127.0.0.1:")
        watch = commands.enter_context(Command("-C", plain, "watch"))
        watch.until("v1")
        start(ckfunc, plain, "nobody")
        watch.until("at find (handlers/start.ts:3:9)")
        assert watch.interrupt() == 130
