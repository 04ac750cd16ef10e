"""`ckfunc types` and `ckfunc types --check`: written declarations and linked packages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli.conftest import Ckfunc
from support.typescript import tsc

from ckfunc.base.files import link_target

WITH_PACKAGES = """\
version: 1
default_target: local
runtime:
  dependencies:
    ms: 2.1.3
  environment:
    TOPIC: ${NEVER_DEFINED_ANYWHERE}
  initialization_script: init.ts
functions:
  user.sent.message:
    handler: handlers/message.ts
targets:
  local: {emulator: true}
"""

HANDLER = """\
import ms from "ms";

async function handleEvent(event: UserSentMessageEvent, context: Context) {
  const topic: string = process.env.TOPIC;
  return greet(topic) + ms(1000) + event.user.name;
}
"""


def state(root: Path) -> Mapping[str, object]:
    return {
        path.relative_to(root).as_posix(): str(link_target(path)) if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def written(ckfunc: Ckfunc, tmp_path: Path) -> Path:
    """A project with packages, an init script, an unset variable, and written types."""
    root = tmp_path / "chat"
    assert ckfunc("init", root).code == 0
    (root / "functions.yaml").write_text(WITH_PACKAGES)
    (root / "init.ts").write_text("export const greet = (name: string) => `Hello ${name}`;\n")
    (root / "handlers" / "message.ts").write_text(HANDLER)
    ran = ckfunc("-C", root, "types")
    assert ran.code == 0, ran.err
    assert "created     node_modules/ms" in ran.err
    return root


@pytest.mark.slow
def test_the_compiler_needs_only_the_scaffolded_settings_and_types(written: Path) -> None:
    assert tsc(written) == []


@pytest.mark.slow
def test_linked_node_types_are_available_to_editors(ckfunc: Ckfunc, written: Path, tmp_path: Path) -> None:
    assert (written / "node_modules/@types/node/index.d.ts").is_file()
    assert '/// <reference types="node" />' in (written / ".ckfunc/types/node.d.ts").read_text()
    (written / "handlers/message.ts").write_text(
        "import tls from 'node:tls';\nconst data: Buffer = Buffer.from(tls.DEFAULT_CIPHERS);\n"
        "function handleEvent() {\n  console.table([data]);\n}\n"
    )
    assert tsc(written) == []
    ckfunc("init", tmp_path / "new")  # fetches nothing
    assert "reference" not in (tmp_path / "new/.ckfunc/types/node.d.ts").read_text()


def test_written_types_are_up_to_date_and_a_check_writes_nothing(ckfunc: Ckfunc, written: Path) -> None:
    before = state(written)
    ran = ckfunc("-C", written, "types", "--check")
    assert (ran.code, ran.out) == (0, "")
    assert "the types are up to date" in ran.err
    assert json.loads(ckfunc("-C", written, "--json", "types", "--check").out) == {"current": True, "stale": []}
    assert state(written) == before


def test_a_check_lists_stale_files_with_reasons(ckfunc: Ckfunc, written: Path) -> None:
    manifest = written / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("TOPIC:", "SUBJECT:"))
    (written / ".ckfunc/types/node.d.ts").unlink()
    (written / "node_modules/ms").unlink()
    before = state(written)
    ran = ckfunc("-C", written, "types", "--check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        ".ckfunc/types/node.d.ts  (missing)",
        ".ckfunc/types/project.d.ts  (out of date)",
        "node_modules/ms  (does not lead to the package)",
    ]
    assert "run `ckfunc types`" in ran.err
    told = json.loads(ckfunc("-C", written, "--json", "types", "--check").out)
    assert told["current"] is False
    assert [file["path"] for file in told["stale"]] == [line.partition("  ")[0] for line in ran.out.splitlines()]
    assert state(written) == before
    ran = ckfunc("-C", written, "types")
    assert (ran.code, ran.err.splitlines()) == (
        0,
        [
            "  created     .ckfunc/types/node.d.ts",
            "  overwritten .ckfunc/types/project.d.ts",
            "  created     node_modules/ms",
            "  unchanged   4 files",
        ],
    )
    assert ckfunc("-C", written, "types", "--check").code == 0


def test_a_new_project_has_up_to_date_types(ckfunc: Ckfunc, tmp_path: Path) -> None:
    ckfunc("init", tmp_path / "chat")
    assert ckfunc("-C", tmp_path / "chat", "types", "--check").code == 0


@pytest.mark.slow
def test_missing_packages_are_stale_and_a_warning_without_a_network(
    ckfunc: Ckfunc, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKFUNC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    checked = ckfunc("-C", written, "types", "--check")
    assert (checked.code, checked.out) == (1, "node_modules  (packages are not installed)\n")
    for arguments, said in (((), "npm could not reach its registry"), (("--no-install",), "not installed")):
        ran = ckfunc("-C", written, "types", *arguments)
        assert ran.code == 0
        assert said in ran.err


def test_a_check_of_an_invalid_manifest_reports_its_mistakes(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 2\n")
    ran = ckfunc("-C", project, "types", "--check")
    assert ran.code == 1
    assert "functions.yaml:1:10" in ran.err
    assert not (project / ".ckfunc").exists()


def test_a_project_with_its_own_tsconfig_gets_a_suggestion(ckfunc: Ckfunc, written: Path) -> None:
    (written / "tsconfig.json").write_text('{"compilerOptions": {"module": "commonjs"}}')
    for arguments in (("types",), ("types", "--check")):
        ran = ckfunc("-C", written, *arguments)
        assert ran.code == 0
        assert 'warning: tsconfig.json: add ".ckfunc/types/*.d.ts" to "include"' in ran.err
