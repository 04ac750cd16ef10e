"""The example project: valid targets, strict types, and the settings of a new project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.typescript import tsc

from ckfunc.base.errors import InvalidManifest
from ckfunc.base.secrets import revealed
from ckfunc.manifest.project import load, targets
from ckfunc.scaffold.project import project_files
from ckfunc.scaffold.stubs import Schemas, scope_of, write_stubs

EXAMPLE = Path(__file__).parent.parent.parent / "example-project"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example, as in a fresh clone."""
    ignored = shutil.ignore_patterns(".ckfunc", ".env", "node_modules", "__pycache__")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project", ignore=ignored))


def test_the_local_target_needs_neither_a_dotenv_file_nor_a_shell_variable(project: Path) -> None:
    wanted = load(project, None, {})
    assert wanted.target.name == "local"
    assert wanted.target.emulator
    assert revealed(wanted.runtime.environment or {}) == {
        "DESK_CHANNEL": "support",
        "OPENING_HOURS": "Monday to Friday, 9 to 17 UTC",
        "STAFF_CODE": "0042",
    }
    assert wanted.warnings == ()


def test_the_other_targets_require_the_secret(project: Path) -> None:
    assert targets(project) == ("local", "staging", "production")
    with pytest.raises(InvalidManifest) as failure:
        load(project, "staging", {})
    [problem] = failure.value.problems
    assert "STAFF_CODE" in problem.message
    production = load(project, "production", {"STAFF_CODE": "1e3"})
    assert production.target.protected
    assert (production.runtime.environment or {})["STAFF_CODE"].reveal() == "1e3"


def test_the_example_handlers_type_check_strictly(project: Path) -> None:
    write_stubs(project, Schemas("{}"), scope_of(load(project, None, {})))
    assert tsc(project) == []


def test_the_example_settings_match_a_new_project() -> None:
    new = project_files()
    for name in ("tsconfig.json", ".gitignore"):
        assert (EXAMPLE / name).read_text(encoding="utf-8") == new[name]


def test_the_example_dotenv_file_lists_every_variable() -> None:
    assert "\nSTAFF_CODE=\n" in (EXAMPLE / ".env.example").read_text(encoding="utf-8")
