"""`--json`: every command's output has a schema and matches it.

The fixture `ckfunc` validates all output of --json by its schema, in all tests of commands.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from cli.conftest import Ckfunc
from jsonschema import Draft202012Validator
from support.emulators import cold_emulator
from support.json_outputs import command_of, strict_validator

from ckfunc.chat.events import MessageChange, PresenceChange, SessionChange
from ckfunc.check.setup import FAIL, OK, WARN
from ckfunc.cli.commands.help import contexts
from ckfunc.cli.main import cli
from ckfunc.deploy.apply.report import Ending, ItemState
from ckfunc.deploy.plan.plan import ChangeAction
from ckfunc.deploy.resources import RESOURCES
from ckfunc.model.application import Status
from ckfunc.model.chat import MessageType
from ckfunc.model.command_outputs import OUTPUTS, WITHOUT_JSON, command_schema, commands_with_json
from ckfunc.replay.verdict import ReplayVerdict
from ckfunc.runtime.locks import SEVERITIES
from ckfunc.scaffold.writing import FileAction
from ckfunc.testing.case import CaseOutcome

TYPE = "user.attempted.start_session"
TEST = f"""\
type: {TYPE}
cases:
  - name: says hello
    event: {{username: jane}}
    expect: {{result: Hello jane}}
  - name: says goodbye
    event: {{username: jane}}
    expect: {{result: Goodbye jane}}
  - name: a conversation
    conversation:
      - {{user: jane, connects: {{}}}}
"""

ELSEWHERE = {
    "test record": "test_test_record.py",
    "audit": "test_audit.py",
    "chat": "test_chat.py",
    "dev": "test_dev.py",
    "lock": "test_lock.py",
    "login": "test_login.py",
    "logout": "test_login.py",
    "watch": "test_dev.py",
}
"""Commands whose output other tests validate, because they need a registry, a keyring or a separate process."""


def documented() -> set[str]:
    root = click.Context(cli, info_name="ckfunc")
    return {context.command_path.removeprefix("ckfunc ") for context in contexts(root)}


def test_every_command_with_json_output_has_a_schema() -> None:
    assert documented() == {*commands_with_json(), *WITHOUT_JSON}
    assert set(commands_with_json()) & set(WITHOUT_JSON) == set()


@pytest.mark.parametrize("command", commands_with_json())
def test_every_schema_is_valid_and_describes_its_objects(command: str) -> None:
    schema = command_schema(command)
    Draft202012Validator.check_schema(schema)
    for definition in schema["$defs"].values():
        assert definition["description"].endswith(".")
        assert set(definition["required"]) <= set(definition["properties"])


@pytest.mark.parametrize(
    ("command", "place", "values"),
    [
        ("init", "File.action", FileAction),
        ("audit", "Vulnerability.severity", SEVERITIES),
        ("doctor", "Diagnosis.verdict", (OK, WARN, FAIL)),
        ("diff", "Change.kind", [resource.kind for resource in RESOURCES]),
        ("diff", "Change.action", ChangeAction),
        ("diff", "Plan.summary", ChangeAction),
        ("deploy", "Item.result", ItemState),
        ("deploy", "Report.ending", Ending),
        ("logs", "Invocation.status", Status),
        ("replay", "Replayed.verdict", ReplayVerdict),
        ("test", "Case.verdict", CaseOutcome),
        ("test", "SentMessage.type", MessageType),
        ("chat", "MessageEvent.change", MessageChange),
        ("chat", "PresenceEvent.change", PresenceChange),
        ("chat", "SessionEvent.change", SessionChange),
    ],
)
def test_field_descriptions_list_all_values(command: str, place: str, values: list[str]) -> None:
    schema = command_schema(command)
    name, field = place.split(".")
    described = schema["$defs"][name]["properties"][field]["description"]
    assert [str(value) for value in values if f"`{value}`" not in described] == []


def test_schema_validation_finds_unknown_and_missing_fields() -> None:
    validator = strict_validator("logout")
    assert validator.is_valid({"target": "local", "removed": True})
    assert not validator.is_valid({"target": "local", "removed": True, "more": 1})
    assert not validator.is_valid({"target": "local"})


def test_help_prints_the_schema_of_a_command(ckfunc: Ckfunc) -> None:
    assert json.loads(ckfunc("help", "deploy", "--schema").out) == command_schema("deploy")
    assert json.loads(ckfunc("help", "emulator", "faults", "add", "--schema").out)["title"].endswith("add --json")
    for names, sentence, meant in (
        ((), "--schema needs the name of a command", "deploy"),
        (("cache",), "`ckfunc cache` prints no JSON", "cache info"),
        (("completion",), "`ckfunc completion` prints no JSON", "deploy"),
    ):
        ran = ckfunc("help", *names, "--schema")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"error: {sentence}\nhint: run `ckfunc help {meant} --schema`\n"


def test_json_output_of_every_command_matches_its_schema(
    ckfunc: Ckfunc, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    (project / "tests").mkdir()
    (project / "tests/start.yaml").write_text(TEST)
    (project / "seed.yaml").write_text(
        "users: [{name: jane}]\n"
        "channels: [{name: support, type: PUBLIC, members: [jane], messages: [{user: jane, body: hello}]}]\n"
    )
    handler = project / "handlers/start.ts"
    seen = set()

    def run(*args: str, code: int = 0, root: Path = project) -> None:
        ran = ckfunc("-C", root, *args, "--json")
        assert (args, ran.code, bool(ran.out)) == (args, code, True), ran
        seen.add(command_of(args))

    with cold_emulator(project / ".ckfunc/emulator"):
        run("init", root=tmp_path_factory.mktemp("fresh"))
        run("types", "--check", code=1)
        run("types", "--no-install")
        run("check")
        run("diff")
        run("deploy", "--dry-run")
        run("deploy", "--gate", "test", code=1)
        run("deploy")
        run("trigger", TYPE, "--data", '{"username": "jane"}')
        run("trigger", "user.sent.message")
        run("logs")
        run("logs", "1")
        run("invoke", TYPE)
        run("test", "--junit", "junit.xml", code=1)
        run("test", "merge", "junit.xml", "--junit", "merged.xml")
        run("test", "add", "--invocation", "1", "--yes")
        handler.write_text(handler.read_text().replace("Hello", "Goodbye"))
        run("replay", TYPE)
        run("deploy")
        run("diff", f"{TYPE}@1", TYPE)
        run("versions", TYPE)
        run("show", TYPE)
        run("rollback", TYPE, "--to", "1", "--yes")
        run("rollback", TYPE, "--to", "1", "--yes")
        run("undo", "--dry-run")
        run("undo", "--yes")
        run("pull", "--yes")
        run("whoami")
        run("api", "GET", "/v1/application")
        run("api", "GET", "/v1/users", "--paginate")
        run("doctor")
        run("cache", "info")
        run("cache", "clean", "--dry-run")
        run("emulator", "seed", "seed.yaml")
        run("emulator", "users")
        run("emulator", "channels")
        run("emulator", "messages")
        run("emulator", "snapshots", "save", "first")
        run("emulator", "snapshots")
        run("emulator", "snapshots", "restore", "first", "--yes")
        run("emulator", "snapshots", "remove", "first", "--yes")
        run("emulator", "faults", "add", "createUser", "--status", "429")
        run("emulator", "faults")
        run("emulator", "faults", "clear")
        run("new", "user.sent.message")
        (project / "handlers/start.ts").write_text("async function handleEvent( {\n")
        run("check", code=1)
    assert seen == {output.command for output in OUTPUTS} - ELSEWHERE.keys()


@pytest.mark.parametrize("command", ELSEWHERE)
def test_remaining_outputs_are_validated_by_other_tests(command: str) -> None:
    text = (Path(__file__).parent.parent / "cli" / ELSEWHERE[command]).read_text(encoding="utf-8")
    asked = rf'ckfunc\("-C", \w+, "{command}"[^\n]*"--json"'
    assert re.search(rf'{asked}|require_documented\("{command}"', text)


def test_errors_are_text_on_stderr_even_with_json(ckfunc: Ckfunc, tmp_path: Path) -> None:
    ran = ckfunc("-C", tmp_path, "deploy", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
