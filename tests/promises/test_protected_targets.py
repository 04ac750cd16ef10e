"""Protected targets: every command that writes needs a confirmation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli.conftest import Ckfunc
from support.commands import Command
from support.terminals import on_terminal

JANE = '{"name": "jane", "displayName": "Jane"}'
TYPE = "user.attempted.start_session"
HANDLER = "async function handleEvent() {{ return '{word}'; }}\n"

terminal = pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")


def save(project: Path, word: str) -> None:
    (project / "handlers/start.ts").write_text(HANDLER.format(word=word))


def edit(project: Path, before: str, after: str) -> None:
    manifest = project / "functions.yaml"
    assert before in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(before, after))


@pytest.fixture
def protected(project: Path) -> Path:
    """A project whose default target is a protected emulator, which runs `one`."""
    edit(project, "default_target: remote", "default_target: local")
    save(project, "one")
    return project


@pytest.fixture
def deployed(ckfunc: Ckfunc, protected: Path) -> Path:
    assert ckfunc("-C", protected, "deploy", "-q").code == 0
    edit(protected, "{emulator: true}", "{emulator: true, protected: true}")
    return protected


def version(ckfunc: Ckfunc, project: Path) -> str:
    return ckfunc("-C", project, "show", TYPE).out


@pytest.mark.parametrize("command", ["watch", "dev"])
def test_a_watch_without_a_terminal_needs_yes_even_without_initial_changes(
    ckfunc: Ckfunc, deployed: Path, command: str
) -> None:
    ran = ckfunc("-C", deployed, command, *(["--port", "0"] if command == "dev" else []))
    assert ran.code == 2
    assert "target 'local' is protected and requires confirmation" in ran.err
    assert "--yes" in ran.err


@terminal
@pytest.mark.parametrize("command", ["watch", "dev"])
def test_a_declined_watch_ends_and_deploys_nothing(ckfunc: Ckfunc, deployed: Path, command: str) -> None:
    with on_terminal("-C", deployed, command) as running:
        running.until(r"Deploy every change to local until you stop this command\? \[y/N\]")
        running.press("n\n")
        running.until("Nothing was deployed to local")
        assert running.process.wait(30) == 1
    assert "'one'" in version(ckfunc, deployed)


@terminal
def test_one_confirmation_covers_every_deploy_of_a_watch(ckfunc: Ckfunc, deployed: Path) -> None:
    with on_terminal("-C", deployed, "watch", "--no-logs") as running:
        running.until(r"\[y/N\]")
        running.press("y\n")
        running.until("no changes to deploy")
        save(deployed, "two")
        running.until("v1 → v2")
        save(deployed, "three")
        running.until("v2 → v3")
    assert "'three'" in version(ckfunc, deployed)


def test_a_watch_with_yes_asks_no_questions(deployed: Path) -> None:
    with Command("-C", deployed, "watch", "--no-logs", "--yes") as watch:
        watch.until("no changes to deploy")
        save(deployed, "two")
        watch.until("v1 → v2")
        assert watch.interrupt() == 130


def test_a_watch_does_not_deploy_to_a_target_that_becomes_protected(ckfunc: Ckfunc, protected: Path) -> None:
    with Command("-C", protected, "watch", "--no-logs") as watch:
        watch.until("Deployed to local")
        edit(protected, "{emulator: true}", "{emulator: true, protected: true}")
        watch.until("has changed since the watch began")
        save(protected, "two")
        watch.until("has changed since the watch began")
        assert watch.interrupt() == 130
    assert "'one'" in version(ckfunc, protected)


def test_a_watch_does_not_deploy_to_a_changed_default_target(ckfunc: Ckfunc, protected: Path) -> None:
    edit(protected, "  local: {emulator: true}\n", "  local: {emulator: true}\n  other: {emulator: true}\n")
    with Command("-C", protected, "watch", "--no-logs") as watch:
        watch.until("Deployed to local")
        edit(protected, "default_target: local", "default_target: other")
        watch.until("has changed since the watch began")
        save(protected, "two")
        watch.until("has changed since the watch began")
        assert watch.interrupt() == 130
    assert "'one'" in version(ckfunc, protected)


@pytest.mark.parametrize(
    "arguments",
    [
        ("deploy",),
        ("deploy", "--only", TYPE),
        ("deploy", "--gate", "none"),
        ("deploy", "--plan", "plan.json"),
        ("deploy", "--allow-removals"),
        ("undo",),
        ("rollback", TYPE),
        ("api", "POST", "/v1/users", "--data", JANE),
        ("api", "DELETE", "/v1/users/1"),
    ],
    ids=" ".join,
)
def test_every_writing_command_needs_yes_without_a_terminal(
    ckfunc: Ckfunc, deployed: Path, arguments: tuple[str, ...]
) -> None:
    save(deployed, "two")
    assert ckfunc("-C", deployed, "deploy", "--yes").code == 0
    save(deployed, "three")
    assert ckfunc("-C", deployed, "diff", "--out", "plan.json").code == 0
    ran = ckfunc("-C", deployed, *arguments)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert "'two'" in version(ckfunc, deployed)
    assert "jane" not in ckfunc("-C", deployed, "api", "GET", "/v1/users").out


def test_a_writing_api_request_is_sent_with_yes(ckfunc: Ckfunc, deployed: Path) -> None:
    assert ckfunc("-C", deployed, "api", "POST", "/v1/users", "--data", JANE, "--yes").code == 0
    assert "jane" in ckfunc("-C", deployed, "api", "GET", "/v1/users").out


def test_the_deploy_fails_if_scripts_change_while_gates_run(ckfunc: Ckfunc, protected: Path) -> None:
    edit(protected, "default_target: local", "default_target: local\ngates: [test]")
    slow = "async function handleEvent() {\n  await new Promise((done) => setTimeout(done, 500));\n  return 'ok';\n}\n"
    (protected / "handlers/start.ts").write_text(slow)
    (protected / "tests").mkdir()
    cases = f"type: {TYPE}\ncases:\n  - name: slow\n    sample: true\n    expect: {{result: ok}}\n"
    (protected / "tests/slow.yaml").write_text(cases)
    with Command("-C", protected, "-v", "deploy") as deploy:
        deploy.until("gate test")
        save(protected, "ok")  # the gate may read either script, and both pass
        deploy.until("the project was changed while its gates ran; nothing was written")
        assert deploy.process.wait(60) == 1
    assert ckfunc("-C", protected, "show", TYPE).code == 1
