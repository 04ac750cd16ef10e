"""`--quiet`: commands print only errors and requested results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TYPE = "user.attempted.start_session"
TEST = f"""\
type: {TYPE}
cases:
  - name: says hello
    event: {{username: jane}}
    expect: {{result: Hello jane}}
"""


@pytest.fixture
def local(project: Path) -> Path:
    """The project on the emulator, with a test, and with a warning in its manifest."""
    manifest = project / "functions.yaml"
    text = manifest.read_text().replace("default_target: remote", "default_target: local")
    manifest.write_text(text.replace("functions:\n", "functions:\n  bogus.type: {handler: handlers/start.ts}\n"))
    (project / "tests").mkdir()
    (project / "tests/start.yaml").write_text(TEST)
    (project / "seed.yaml").write_text("users:\n  - name: jane\n")
    return project


def test_quiet_commands_print_neither_progress_nor_warnings(ckfunc: Callable[..., Any], local: Path) -> None:
    handler = local / "handlers/start.ts"
    assert "warning: " in ckfunc("-C", local, "diff").err
    for arguments in (
        ["deploy"],
        ["deploy"],
        ["test"],
        ["check"],
        ["types"],
        ["new", "user.sent.message"],
        ["rollback", TYPE, "--to", "1", "--yes"],
        ["undo", "--yes"],
        ["pull", "--yes"],
        ["doctor"],
        ["emulator", "export", "export.db"],
        ["emulator", "seed", "seed.yaml"],
    ):
        if arguments[0] == "rollback":
            handler.write_text(handler.read_text().replace("Hello", "Goodbye"))
            assert ckfunc("-C", local, "-q", "deploy").code == 0
        ran = ckfunc("-C", local, "-q", *arguments)
        assert (arguments, ran.code, ran.out, ran.err) == (arguments, 0, "", "")


def test_results_are_printed_even_with_quiet(ckfunc: Callable[..., Any], local: Path) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    fire = ["trigger", TYPE, "--data", '{"username": "jane"}']
    for arguments in (
        fire,
        ["logs"],
        ["show", TYPE],
        ["versions", TYPE],
        ["whoami"],
        ["api", "GET", "/v1/application"],
    ):
        ran = ckfunc("-C", local, "-q", *arguments)
        assert (ran.code, ran.err) == (0, "") and ran.out, arguments


def test_quiet_deploys_and_tests_print_only_failures(ckfunc: Callable[..., Any], local: Path) -> None:
    (local / "tests/start.yaml").write_text(
        f"{TEST}  - {{name: is wrong, event: {{username: jane}}, expect: {{result: Hi}}}}\n"
    )
    ran = ckfunc("-C", local, "-q", "test")
    assert ran.code == 1 and ran.err == ""
    assert ran.out.startswith("✗ tests/start.yaml:6 › is wrong\n")
    assert "says hello" not in ran.out and "1 failed" not in ran.out
    (local / "handlers/start.ts").write_text("async function handleEvent( {\n")
    ran = ckfunc("-C", local, "-q", "deploy")
    assert ran.code == 1 and ran.out == "" and ran.err.startswith("error: ")
