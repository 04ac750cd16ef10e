"""Scripts that could not run are refused by `check` and before a deploy writes anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Command

Ckfunc = Callable[..., Any]

TYPE, SENT = "user.attempted.start_session", "user.sent.message"
ALIAS = 'import { greeting } from "@lib/greet";\n\nasync function handleEvent() {\n  return greeting("jane");\n}\n'
SETTINGS = '{"compilerOptions": {"target": "ES2022", "strict": true, "types": [], "paths": {"@lib/*": ["./lib/*"]}}}'
REFUSED = (
    "handlers/start.ts:1:26: @lib/greet is not in runtime.dependencies (`paths` of tsconfig.json do not apply to "
    'bundles: write "../lib/greet")'
)
GOOD = "async function handleEvent() {\n  return 1;\n}\n"


@pytest.fixture
def local(project: Path) -> Path:
    """A project on its emulator, whose handler imports by an alias."""
    manifest(project, "{ms: ^2.1.3}")
    (project / "tsconfig.json").write_text(SETTINGS)
    (project / "lib").mkdir()
    (project / "lib/greet.ts").write_text("export const greeting = (name: string) => `hi ${name}`;\n")
    (project / "handlers/start.ts").write_text(ALIAS)
    return project


def manifest(project: Path, dependencies: str | None, *, sent: bool = False) -> None:
    lines = ["version: 1", "default_target: local", "targets: {local: {emulator: true}}"]
    lines += [f"runtime: {{dependencies: {dependencies}}}"] if dependencies else []
    lines += ["functions:", f"  {TYPE}: {{handler: handlers/start.ts}}"]
    lines += [f"  {SENT}: {{handler: handlers/sent.ts}}"] if sent else []
    (project / "functions.yaml").write_text("\n".join([*lines, ""]))


def test_an_import_alias_is_refused_by_check_deploy_invoke_and_test(ckfunc: Ckfunc, local: Path) -> None:
    checked = ckfunc("-C", local, "check")
    assert checked.code == 1
    assert checked.out == f"{REFUSED} (runtime)\n"
    for arguments in (["--gate", "check"], [], ["--dry-run"]):
        refused = ckfunc("-C", local, "deploy", *arguments)
        assert refused.code == 1
        assert refused.err.splitlines()[:2] == ["error: a script cannot run", f"  {REFUSED}"]
    ran = ckfunc("-C", local, "invoke", TYPE)
    assert ran.code == 1
    assert "CannotRun: @lib/greet is not in runtime.dependencies (`paths` of tsconfig.json do not apply" in ran.out
    assert ckfunc("-C", local, "versions", TYPE).code == 1
    (local / "tests").mkdir()
    (local / "tests/start.yaml").write_text(
        f"type: {TYPE}\ncases:\n  - name: it runs\n    sample: true\n    expect: {{}}\n"
    )
    tested = ckfunc("-C", local, "test")
    assert tested.code == 1
    assert "@lib/greet is not in runtime.dependencies" in tested.out


def test_bundled_handlers_and_the_init_script_are_checked(ckfunc: Ckfunc, local: Path) -> None:
    (local / "lib/greet.ts").write_text('import pad from "left-pad";\nexport const greeting = pad;\n')
    (local / "handlers/start.ts").write_text(ALIAS.replace("@lib", "../lib"))
    (local / "init.ts").write_text("export const one = require('right-pad');\n")
    text = (local / "functions.yaml").read_text()
    (local / "functions.yaml").write_text(text.replace("2.1.3}", "2.1.3}, initialization_script: init.ts"))
    for command in ("check", "deploy"):
        ran = ckfunc("-C", local, command)
        assert ran.code == 1
        for said in (
            "init.ts:1:28: right-pad is not in runtime.dependencies (add `right-pad: latest` under",
            "lib/greet.ts:1:17: left-pad is not in runtime.dependencies (add `left-pad: latest` under",
        ):
            assert said in ran.out + ran.err
    assert "Cannot find module" not in ckfunc("-C", local, "check").out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("// handleEvent\n", "1:1: there is no top-level function named handleEvent"),
        ("const handleEvent = 5;\n", "1:7: handleEvent is not a function"),
        (
            "export default { on() { return 'handleEvent'; } };\n",
            "1:1: there is no top-level function named handleEvent",
        ),
        ("export class Handlers {\n  handleEvent() {}\n}\n", "2:3: handleEvent is not at the top level"),
    ],
)
def test_a_script_that_only_mentions_handle_event_is_refused(
    ckfunc: Ckfunc, local: Path, source: str, said: str
) -> None:
    (local / "handlers/start.ts").write_text(source)
    assert f"handlers/start.ts:{said}" in ckfunc("-C", local, "check").out
    assert f"handlers/start.ts:{said}" in ckfunc("-C", local, "deploy").err


def test_unmanaged_packages_must_be_installed_in_the_application(ckfunc: Ckfunc, local: Path) -> None:
    manifest(local, None)
    (local / "handlers/start.ts").write_text(f"import ms from 'ms';\nms;\n{GOOD}")
    checked = ckfunc("-C", local, "check")
    assert "handlers/start.ts:1:16: ms must be installed in the application" in checked.err
    refused = ckfunc("-C", local, "deploy")
    assert "handlers/start.ts:1:16: ms is not in runtime.dependencies (add `ms: " in refused.err
    manifest(local, "{ms: 2.1.3}")
    assert ckfunc("-C", local, "deploy").code == 0
    manifest(local, None)
    (local / "handlers/start.ts").write_text(f"import ms from 'ms';\nms;\n\n{GOOD}")
    assert ckfunc("-C", local, "deploy").code == 0


def test_removed_and_unselected_packages_count_as_missing(ckfunc: Ckfunc, local: Path) -> None:
    (local / "handlers/start.ts").write_text(f"import ms from 'ms';\nms;\n{GOOD}")
    (local / "handlers/sent.ts").write_text(GOOD)
    manifest(local, "{ms: 2.1.3}", sent=True)
    early = ckfunc("-C", local, "deploy", "--only", TYPE)  # the package is not selected
    assert early.code == 1 and "handlers/start.ts:1:16: ms is not in runtime.dependencies" in early.err
    assert ckfunc("-C", local, "deploy").code == 0
    manifest(local, "{}", sent=True)
    refused = ckfunc("-C", local, "deploy", "--allow-removals")  # though no script changes
    assert refused.code == 1 and "handlers/start.ts:1:16: ms is not in runtime.dependencies" in refused.err


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("ms: ^99.0.0", "functions.yaml:4:26: npm has no version that matches ms@^99.0.0"),
        pytest.param(
            'ms: 2.1.3, "@ckfunc-tests/no-such": 1.x',
            "functions.yaml:4:37: npm found no package @ckfunc-tests/no-such@1.x",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_package_missing_from_the_registry_is_reported_at_its_entry(
    ckfunc: Ckfunc, local: Path, entry: str, said: str
) -> None:
    (local / "handlers/start.ts").write_text(GOOD)
    manifest(local, f"{{{entry}}}")
    checked = ckfunc("-C", local, "check")
    assert checked.code == 1 and checked.out.startswith(said)
    for arguments in ([], ["--dry-run"]):
        refused = ckfunc("-C", local, "deploy", *arguments)
        assert refused.code == 1
        assert "error: a package in functions.yaml cannot be installed" in refused.err
        assert f"  {said}" in refused.err
    assert ckfunc("-C", local, "versions", TYPE).code == 1


def test_a_module_that_a_package_does_not_have_is_refused_before_a_deploy(ckfunc: Ckfunc, local: Path) -> None:
    (local / "handlers/start.ts").write_text(f"import parse from 'qs/lib/parse';\nparse;\n{GOOD}")
    manifest(local, "{ms: 2.1.3}")
    said = 'handlers/start.ts:1:19: the package qs has no module qs/lib/parse (write "qs/lib/parse.js")'
    assert ckfunc("-C", local, "check").out == f"{said} (runtime)\n"
    for arguments in ([], ["--dry-run"]):
        refused = ckfunc("-C", local, "deploy", *arguments)
        assert refused.code == 1
        assert refused.err.splitlines()[:2] == ["error: a script cannot run", f"  {said}"]
    assert ckfunc("-C", local, "versions", TYPE).code == 1


def test_without_a_network_unchecked_packages_are_a_warning(
    ckfunc: Ckfunc, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (local / "handlers/start.ts").unlink()
    (local / "handlers/start.js").write_text(GOOD)
    manifest(local, "{ms: 2.1.2}")
    text = (local / "functions.yaml").read_text()
    (local / "functions.yaml").write_text(text.replace("start.ts", "start.js"))
    (local / "tsconfig.json").unlink()
    with monkeypatch.context() as offline:
        offline.setenv("CKFUNC_CACHE_DIR", str(tmp_path / "empty"))
        offline.setenv("npm_config_registry", "http://127.0.0.1:9")
        offline.setenv("npm_config_cache", str(tmp_path / "npm"))
        offline.setenv("npm_config_fetch_retries", "0")
        for command in ("check", "deploy"):
            ran = ckfunc("-C", local, command)
            assert ran.code == 0, ran.err
            assert "the packages were not checked" in ran.err
        again = ckfunc("-C", local, "deploy")  # nothing changes: npm is not asked
        assert again.code == 0 and "not checked" not in again.err


@pytest.mark.slow
def test_a_watch_keeps_the_last_deployed_version_of_a_broken_handler(ckfunc: Ckfunc, local: Path) -> None:
    (local / "handlers/start.ts").write_text(GOOD)
    (local / "handlers/sent.ts").write_text(GOOD)
    manifest(local, "{ms: 2.1.3}", sent=True)
    with Command("-C", local, "watch", "--no-logs") as watch:
        watch.until("3 created")
        (local / "lib/greet.ts").write_text('import pad from "left-pad";\nexport const greeting = pad;\n')
        (local / "handlers/start.ts").write_text(ALIAS.replace("@lib", "../lib"))
        watch.until("lib/greet.ts:1:17: left-pad is not in runtime.dependencies")
        (local / "handlers/sent.ts").write_text(GOOD.replace("1", "2"))
        assert SENT in watch.until("v1 → v2")  # the others are deployed
        manifest(local, "{ms: 2.1.3, left-pad: 1.3.0}", sent=True)
        assert TYPE in watch.until("v1 → v2")
        assert watch.interrupt() == 130
