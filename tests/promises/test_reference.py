"""The reference of environment variables and of files, compared with what the code reads and writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Ckfunc
from support.emulators import cold_emulator
from support.project_files import ROOT

from ckfunc.base.roff import FILES, VARIABLES
from ckfunc.manifest.variables import CONNECTION_NAMES

CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
DOCUMENTS = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
BETWEEN_SHELL_AND_CKFUNC = {"COMP_CWORD", "COMP_LINE", "COMP_WORDS", "_CKFUNC_COMPLETE"}
OF_NPM = {"NPM_CONFIG_GLOBALCONFIG", "NPM_CONFIG_PREFIX", "NPM_CONFIG_USERCONFIG", "PREFIX"}
"""npm's own names of its settings. Source: https://docs.npmjs.com/cli/using-npm/config"""


def variables_read(path: Path) -> Iterator[str]:
    """Yield the names of environment variables that a module reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=where, attr="get" | "pop"), args=[name, *_]):
                pass
            case ast.Subscript(value=where, slice=name):
                pass
            case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[where]):
                pass
            case _:
                continue
        if re.search(r"\benviron$", ast.unparse(where).replace("_environ", "environ")):
            for part in ast.walk(name):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
                elif isinstance(part, ast.Name) and part.id in constants:
                    yield str(constants[part.id])


def test_every_environment_variable_read_by_the_code_is_documented() -> None:
    read = {name for path in (ROOT / "ckfunc").rglob("*.py") for name in variables_read(path)}
    read = {name for name in read if re.fullmatch("_?[A-Z][A-Z_]+", name)} - BETWEEN_SHELL_AND_CKFUNC - OF_NPM
    assert len(read) > 12
    assert sorted(name for name in read if f"`{name}`" not in DOCUMENTS) == []


def test_the_manual_page_lists_the_documented_variables() -> None:
    own = set(re.findall(r"`(CKFUNC_\w+|CHATKITTY_\w+)`", CONFIGURATION))
    assert own == {name for name in VARIABLES if name.startswith(("CKFUNC_", "CHATKITTY_"))}
    assert set(CONNECTION_NAMES) <= VARIABLES.keys()
    assert [name for name in VARIABLES if f"`{name}`" not in CONFIGURATION] == []
    names = [name for names in FILES for name in names.split(", ")]
    assert [name for name in names if f"`{name}`" not in DOCUMENTS] == []


@pytest.mark.parametrize("place", [".ckfunc", "."])
def test_every_file_of_a_project_is_documented(ckfunc: Ckfunc, tmp_path: Path, place: str) -> None:
    assert ckfunc("init", tmp_path).code == 0
    with cold_emulator(tmp_path / ".ckfunc/emulator"):
        for command in ("types --no-install", "check", "deploy", "pull --yes"):
            assert ckfunc("-C", tmp_path, *command.split()).code == 0, command
        table = CONFIGURATION.partition("## Files of a project")[2].partition("\n## ")[0]
        files = {f"{path.name}/" if path.is_dir() else path.name for path in (tmp_path / place).iterdir()}
    assert len(files) > 5
    assert sorted(name for name in files - {".gitignore"} if f"`{name}`" not in table) == []
