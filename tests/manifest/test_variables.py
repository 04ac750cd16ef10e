"""Sources and interpolation of variables."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from manifest.projects import MINIMAL, problems, project

from ckfunc.base.errors import InvalidManifest
from ckfunc.base.secrets import revealed
from ckfunc.manifest.project import load
from ckfunc.manifest.variables import connection_variables, expand, references

MANIFEST = "version: 1\nruntime:\n  environment:\n    A: {value}\ntargets: {{staging: {{}}}}\n"


def value(root: Path, written: str, environ: Mapping[str, str] | None = None) -> str:
    project(root, MANIFEST.format(value=written))
    environment = load(root, None, environ or {}).runtime.environment
    assert environment is not None
    return environment["A"].reveal()


def test_variables_have_their_documented_precedence(tmp_path: Path) -> None:
    assert value(project(tmp_path, files={".env": "X=shared"}), "${X}") == "shared"
    assert value(project(tmp_path, files={".env.staging": "X=target"}), "${X}") == "target"
    assert value(tmp_path, "${X}", {"X": "process"}) == "process"
    assert value(tmp_path, "${X}", {"X": ""}) == ""


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("a$b", "a$b"),
        ("$", "$"),
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${X}", "${X}"),
        ("$$${X}", "$1"),
        ("${X}${Y}-${X}", "12-1"),
        ("$X", "$X"),
        ("100$ and $1", "100$ and $1"),
        ("'${X} #'", "1 #"),
    ],
)
def test_references_are_replaced_and_double_dollars_become_one(tmp_path: Path, written: str, want: str) -> None:
    assert value(tmp_path, written, {"X": "1", "Y": "2"}) == want


def test_values_are_inserted_unchanged(tmp_path: Path) -> None:
    assert value(tmp_path, "${X}", {"X": "${Y} $$ \\1"}) == "${Y} $$ \\1"
    root = project(tmp_path, files={".env": "X='${Y} $$'\nY=no\n"})
    assert value(root, "${X}") == "${Y} $$"


def test_env_files_may_have_quotes_comments_export_and_crlf(tmp_path: Path) -> None:
    env = "\ufeff# comment\r\nexport X=\"a b\\nc\" # more\r\nY='#'\r\nEMPTY=\r\n"
    root = project(tmp_path, files={".env": env})
    assert value(root, "${X}${Y}${EMPTY}") == "a b\nc#"


def test_a_name_without_an_equals_sign_defines_no_variable(tmp_path: Path) -> None:
    root = project(tmp_path, MANIFEST.format(value="${X}"), {".env": "X\n"})
    assert "${X} has no value" in problems(root)[0]


def test_every_reference_without_a_value_is_reported_at_its_position(tmp_path: Path) -> None:
    text = "version: 1\nruntime:\n  environment:\n    A: x${B}${C}\n    D: '${E}'\n    F: |\n      ${G}\n"
    assert problems(project(tmp_path, text), "local") == [
        f"functions.yaml:{where}: ${{{name}}} has no value (set {name} in the shell, in .env.local or in .env)"
        for where, name in [("4:9", "B"), ("4:13", "C"), ("5:9", "E"), ("6:8", "G")]
    ]


def test_env_files_are_not_read_if_the_process_has_all_variables(tmp_path: Path) -> None:
    root = project(tmp_path, files={".env": "not = a ' file\n"})
    assert value(root, "${X}", {"X": "1"}) == "1"


def test_an_invalid_env_file_is_reported_without_its_content(tmp_path: Path) -> None:
    text = "X=1\n'hunter2\n"
    root = project(tmp_path, MANIFEST.format(value="${Z}"), {".env": text})
    found = problems(root)
    assert found[0].startswith(".env:2:1: this line is not NAME=VALUE (write NAME=VALUE, with quotes")
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"X=\xff", ".env:1:3: .env is not UTF-8 text"),
        (b"A=1\nX=a\0b\n", ".env:2:1: this value contains a NUL character"),
        (b"#" * 2_000_000, ".env: .env is too large: 1.9 MiB"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_reported(tmp_path: Path, content: bytes, said: str) -> None:
    root = project(tmp_path, MANIFEST.format(value="${X}"), {".env": content})
    assert problems(root)[0].startswith(said)


def test_an_env_file_that_is_a_directory_is_reported(tmp_path: Path) -> None:
    root = project(tmp_path, MANIFEST.format(value="${X}"), {".env/x": ""})
    assert problems(root)[0].startswith(".env: .env is a directory")


def test_overridden_values_and_other_targets_need_not_resolve(tmp_path: Path) -> None:
    text = """\
version: 1
runtime: {environment: {A: "${MISSING}"}}
targets:
  a: {environment: {A: plain}}
  b: {application: "${MISSING}", environment: {B: "${MISSING}"}}
"""
    assert problems(project(tmp_path, text), "a") == []
    assert len(problems(tmp_path, "b")) == 3


def test_the_application_may_come_from_a_variable(tmp_path: Path) -> None:
    root = project(tmp_path, MINIMAL + "targets:\n  a: {application: '${APP}'}\n")
    assert load(root, None, {"APP": "42"}).target.application == "42"
    assert problems(root)[0].startswith("functions.yaml:5:21: ${APP} has no value")
    with pytest.raises(InvalidManifest) as caught:
        load(root, None, {"APP": "hunter2"})
    assert str(caught.value.problems[0]) == (
        "functions.yaml:5:20: application is not an application's id or key after ${NAME} is replaced "
        "(an id is a number, a key is a UUID)"
    )


def test_scripts_names_and_descriptions_are_not_interpolated(tmp_path: Path) -> None:
    text = "version: 1\nfunctions:\n  call.ended: {handler: a.ts, name: '${X}', description: $$}\n"
    script = "export default async () => `${X} $$`;\n"
    functions = load(project(tmp_path, text, {"a.ts": script}), None, {"X": "1"}).functions
    assert functions is not None
    assert (functions[0].handler.text, functions[0].name, functions[0].description) == (script, "${X}", "$$")


def test_references_are_found_with_their_offsets() -> None:
    assert references("a${B} $${C} ${D}") == (("B", 1), ("D", 12))
    assert expand("${B}$$", {"B": "x"}) == "x$"


def test_a_lenient_load_warns_about_a_variable_without_a_value(tmp_path: Path) -> None:
    manifest = (
        "version: 1\nruntime:\n  environment: {A: 'x${X}-${Y}', B: '$${X}'}\n"
        "targets: {staging: {application: '${APP}'}, live: {}}\n"
    )
    root = project(tmp_path, manifest)
    found = load(root, None, {"Y": "2"}, lenient=True)
    assert found.target.name == "staging"
    assert found.target.application is None
    assert revealed(found.runtime.environment) == {"A": "x${X}-2", "B": "${X}"}
    assert [warning.message.partition(" has")[0] for warning in found.warnings] == ["${X}", "${APP}"]
    assert load(root, "live", {"X": "1", "Y": "2"}, lenient=True).warnings == ()
    with pytest.raises(InvalidManifest):
        load(root, "staging", {"Y": "2"})
    (root / ".env").write_text("no assignment\n")
    with pytest.raises(InvalidManifest):
        load(root, "staging", {}, lenient=True)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes have no place in directories there")
def test_an_env_file_that_is_a_pipe_is_read_once(tmp_path: Path) -> None:
    root = project(tmp_path, MANIFEST.format(value="${X}"))
    os.mkfifo(root / ".env")
    writer = threading.Thread(target=(root / ".env").write_text, args=("X=1\nCHATKITTY_CLIENT_ID=id\n",), daemon=True)
    writer.start()
    assert revealed(load(root, "local", {}).runtime.environment) == {"A": "1"}
    writer.join()
    assert revealed(load(root, "local", {}).runtime.environment) == {"A": "1"}
    assert revealed(connection_variables(root, "local", {})[0]) == {"CHATKITTY_CLIENT_ID": "id"}


@pytest.mark.parametrize("text", ["X: 1\nY=2\n", "X='1\nY=2\n", "=3\nY=2\n"])
def test_an_error_in_an_env_file_is_reported_without_follow_up_errors(tmp_path: Path, text: str) -> None:
    manifest = "version: 1\nruntime:\n  environment: {A: '${X}', B: '${Y}', C: '${Z}'}\n"
    root = project(tmp_path, manifest, {".env": text})
    with pytest.raises(InvalidManifest, match=r"^\.env has (a mistake|\d mistakes)$") as caught:
        load(root, "local", {})
    assert {problem.path for problem in caught.value.problems} == {".env"}


def test_the_message_names_the_files_with_errors(tmp_path: Path) -> None:
    manifest = "version: 1\nruntime:\n  environment: {A: '${X}'}\nnonsense: 1\n"
    root = project(tmp_path, manifest, {".env": "X: 1\n"})
    with pytest.raises(InvalidManifest, match=r"^\.env and functions\.yaml have 2 mistakes$"):
        load(root, "local", {})


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_quoted_value_of_several_lines_is_the_same_with_crlf(tmp_path: Path, quote: str) -> None:
    text = f"\ufeff# a comment\nexport X={quote}one\ntwo\n{quote}  # more\nY=last\nZ={quote}a b{quote}\n"
    values = []
    for number, written in enumerate((text, text.replace("\n", "\r\n"), text.replace("\n", "\r"))):
        root = project(tmp_path / str(number), files={".env": written})
        values.append([value(root, f"${{{name}}}") for name in ("X", "Y", "Z")])
    assert values[0] == ["one\ntwo\n", "last", "a b"]
    assert values[1] == values[2] == values[0]


def test_the_last_of_two_values_applies(tmp_path: Path) -> None:
    root = project(tmp_path, files={".env": 'X=1\r\nX="2\\r\\n"\r\n'})
    assert value(root, "${X}") == "2\r\n"
