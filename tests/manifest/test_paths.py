"""Normalization of paths of scripts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from manifest.projects import HANDLER, project

from ckfunc.base.errors import InvalidManifest
from ckfunc.manifest.project import load, watched_files
from ckfunc.manifest.sources import Spelling, same_letters


def functions(*paths: str, init: str | None = None) -> str:
    types = ("user.sent.message", "user.read.message", "user.started.chat_session")
    runtime = [f"runtime: {{initialization_script: {init}}}"] if init else []
    lines = [f"  {name}: {{handler: '{path}'}}" for name, path in zip(types, paths, strict=False)]
    return "\n".join(["version: 1", *runtime, "functions:", *lines, ""])


@pytest.mark.parametrize(
    "path", ["lib/../a.ts", "./a.ts", "lib/./../a.ts", "lib//..//a.ts", "lib/deep/../../a.ts", "missing/../a.ts"]
)
def test_a_path_is_normalized(tmp_path: Path, path: str) -> None:
    project(tmp_path, functions(path), {"lib/deep/x.ts": ""})
    (found,) = load(tmp_path, None, {}).functions or ()
    assert found.handler.path == "a.ts"
    assert tmp_path.resolve() / "a.ts" in watched_files(tmp_path, None)


def test_different_spellings_of_a_path_are_one_script(tmp_path: Path) -> None:
    project(tmp_path, functions("handlers/x.ts", "./handlers//x.ts", "lib/../handlers/x.ts", init="lib/../init.ts"))
    project(tmp_path, (tmp_path / "functions.yaml").read_text(), {"handlers/x.ts": HANDLER, "init.ts": "1;\n"})
    read = load(tmp_path, None, {})
    assert {function.handler.path for function in read.functions or ()} == {"handlers/x.ts"}
    assert read.runtime.initialization_script is not None
    assert read.runtime.initialization_script.path == "init.ts"


@pytest.mark.parametrize("path", ["../a.ts", "lib/../../a.ts", "./../a.ts"])
def test_a_path_outside_of_the_project_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        load(project(tmp_path / "inner", functions(path)), None, {})
    assert "is outside the project" in str(caught.value.problems[0])


@pytest.mark.parametrize("path", ["Handlers/x.ts", "handlers/X.ts", "handlers/x.TS"])
def test_a_path_in_another_case_is_refused_on_every_system(tmp_path: Path, path: str) -> None:
    root = project(tmp_path, functions(path), {"handlers/x.ts": HANDLER})
    with pytest.raises(InvalidManifest) as caught:
        load(root, None, {})
    (found,) = caught.value.problems
    expected = (
        "is neither TypeScript" if path.endswith("TS") else f"handler '{path}' is spelled 'handlers/x.ts' on disk"
    )
    assert expected in found.message


def test_names_that_differ_only_in_case_are_two_files_if_the_system_allows_them(tmp_path: Path) -> None:
    root = project(tmp_path, functions("x.ts", "X.ts"), {"x.ts": "1;\n", "X.ts": "2;\n"})
    if (root / "x.ts").samefile(root / "X.ts"):
        pytest.skip("this file system takes them for one")
    assert [function.handler.text for function in load(root, None, {}).functions or ()] == ["1;\n", "2;\n"]


@pytest.mark.parametrize(("written", "there"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_accents_may_be_encoded_in_two_ways(tmp_path: Path, written: str, there: str) -> None:
    name = unicodedata.normalize(there, "grüße/é.ts")
    root = project(tmp_path, functions(unicodedata.normalize(written, "grüße/é.ts")), {name: HANDLER})
    (found,) = load(root, None, {}).functions or ()
    assert found.handler.text == HANDLER
    assert same_letters(found.handler.path, name)
    assert (root.resolve() / Spelling(root).of(found.handler.path)) in watched_files(root, None)
