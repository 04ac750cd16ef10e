"""`ckfunc emulator export`, `import`, `reset` and `seed`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator

SEED = """\
users:
  - name: jane
    display_name: Jane
    properties: {born: 1970-01-01}
channels:
  - name: support
    members: [jane]
    messages:
      - {user: jane, body: Hello}
"""


@pytest.fixture
def seed(project: Path) -> Path:
    path = project / "people.yaml"
    path.write_text(SEED)
    return path


def names(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "emulator.db")) as database:
        return [row[0] for row in database.execute("SELECT name FROM users ORDER BY id")]


def test_emulator_data_can_be_seeded_exported_reset_and_imported(ckfunc: Ckfunc, project: Path, seed: Path) -> None:
    data = project / ".ckfunc" / "emulator"
    ran = ckfunc("-C", project, "emulator", "seed", "people.yaml")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "added 1 user, 1 channel, 1 member, 1 message\n"
    assert "nothing to add" in ckfunc("-C", project, "emulator", "seed", "people.yaml").err
    ran = ckfunc("-C", project, "emulator", "export", "copy.db")
    assert ran.code == 0
    assert "copy.db" in ran.err
    assert "secret" in ran.err
    ran = ckfunc("-C", project, "emulator", "reset")
    assert (ran.code, names(data)) == (2, ["jane"])
    assert "confirmation is required, but there is no terminal; nothing was changed" in ran.err
    assert "rerun with --yes; `ckfunc emulator export FILE` saves a copy" in ran.err
    assert "is empty" in ckfunc("-C", project, "emulator", "reset", "--yes").err
    assert "nothing to reset" in ckfunc("-C", project, "emulator", "reset").err
    assert not (data / "emulator.db").exists()
    assert ckfunc("-C", project, "emulator", "import", "copy.db").code == 0
    assert names(data) == ["jane"]
    ran = ckfunc("-C", project, "emulator", "import", "copy.db")
    assert ran.code == 2
    assert "confirmation is required, but there is no terminal; nothing was changed" in ran.err
    assert ckfunc("-C", project, "emulator", "import", "copy.db", "-y").code == 0


def test_the_data_directory_can_be_given_before_or_after_the_subcommand(
    ckfunc: Ckfunc, tmp_path: Path, seed: Path
) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    assert ckfunc("emulator", "--data-dir", first, "seed", seed).code == 0
    assert ckfunc("emulator", "seed", seed, "--data-dir", second, "--json").code == 0
    assert names(first) == names(second) == ["jane"]


def test_the_counts_of_seeded_objects_can_be_printed_as_json(ckfunc: Ckfunc, tmp_path: Path, seed: Path) -> None:
    ran = ckfunc("--json", "emulator", "seed", seed, "--data-dir", tmp_path / "data")
    assert json.loads(ran.out) == {"users": 1, "channels": 1, "members": 1, "messages": 1}


def test_a_running_emulator_can_be_seeded_but_not_replaced_by_an_import(
    ckfunc: Ckfunc, project: Path, seed: Path
) -> None:
    data = project / ".ckfunc" / "emulator"
    with Emulator(data, cache=cache_dir()) as emulator:
        assert "added 1 user" in ckfunc("-C", project, "emulator", "seed", seed).err
        assert ckfunc("-C", project, "emulator", "export", "copy.db").code == 0
        ran = ckfunc("-C", project, "emulator", "import", "copy.db")
        assert ran.code == 1
        assert f"is in use by a running emulator ({emulator.url}" in ran.err
    assert names(data) == ["jane"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("users:\n  - name: a\n  - naem: b\n", "people.yaml:3:5: users[1].naem: a user has no field 'naem'"),
        ("users:\n  - name: a\n    display_name: 7\n", "people.yaml:2:5: users[0]: field 'displayName' is an integer"),
        ("users: [{name: 5]\n", "people.yaml:1:9: this { or [ is not closed, or a comma is missing in it"),
        ("users: [&a [*a]]\n", "people.yaml:1:13: this alias is part of its own anchor"),
        ("users: " + "[" * 100_000, "people.yaml:1:208: this is nested too deeply (at most 200 levels)"),
        ("users:\n" + "- " * 3000 + "x\n", "people.yaml:2:401: this is nested too deeply (at most 200 levels)"),
        ("users: [{? [a] : b}]\n", "people.yaml:1:12: invalid value (JSON has no such value or key)"),
        ("- 1\n", "people.yaml:1:1: the seed is an array, not an object"),
        ("users: [!!python/name:os.system '']\n", "people.yaml:1:9: tags are not supported"),
        ("users: [{name: a, properties: {x: .nan}}]\n", "people.yaml: invalid value (JSON has no such value"),
        ("users: [\x00]\n", "people.yaml:1:9: the character U+0000 is not allowed in YAML"),
    ],
)
def test_an_error_in_a_seed_file_is_reported_with_its_location(
    ckfunc: Ckfunc, project: Path, text: str, told: str
) -> None:
    (project / "people.yaml").write_text(text)
    for command in (("emulator", "seed", "people.yaml"), ("emulator", "--seed", "people.yaml", "--ephemeral")):
        ran = ckfunc("-C", project, *command)
        assert ran.code == 1
        assert told in ran.err
    assert not (project / ".ckfunc").exists()


def test_a_json_seed_may_escape_emoji_as_surrogate_pairs(ckfunc: Ckfunc, project: Path) -> None:
    document = {"users": [{"name": "jane \U0001f600\U0001f44d", "displayName": "\\ud83d\\ude00"}]}
    seed = project / "seed.json"
    seed.write_text(json.dumps(document, indent="\t"), encoding="utf-8")
    assert "\\ud83d\\ude00" in seed.read_text(encoding="utf-8")
    assert ckfunc("-C", project, "emulator", "seed", seed).code == 0
    (user,) = json.loads(ckfunc("-C", project, "emulator", "users", "--json").out)
    assert (user["name"], user["displayName"]) == ("jane \U0001f600\U0001f44d", "\\ud83d\\ude00")


def test_an_empty_seed_file_adds_nothing(ckfunc: Ckfunc, project: Path) -> None:
    (project / "people.yaml").write_text("# nobody yet\n")
    assert "nothing to add" in ckfunc("-C", project, "emulator", "seed", "people.yaml").err


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("seed", "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("export", "no/where.db"), "no/where.db: No such file"),
        (("import", "nowhere.db"), "there is no file"),
        (("import", "functions.yaml"), "cannot be used as emulator data: file is not a database"),
    ],
)
def test_an_unusable_file_is_reported_in_one_sentence(
    ckfunc: Ckfunc, project: Path, seed: Path, command: tuple[str, str], told: str
) -> None:
    assert ckfunc("-C", project, "emulator", "seed", seed).code == 0
    ran = ckfunc("-C", project, "emulator", *command)
    assert ran.code == 1
    assert told in ran.err


def test_an_export_without_emulator_data_fails(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "emulator", "export", "copy.db")
    assert ran.code == 1
    assert "there is no emulator data" in ran.err


@pytest.mark.parametrize("command", ["export", "import", "reset", "seed"])
def test_a_data_directory_is_required_outside_of_a_project(ckfunc: Ckfunc, tmp_path: Path, command: str) -> None:
    file = () if command == "reset" else ("file",)
    ran = ckfunc("-C", tmp_path, "emulator", command, *file)
    assert ran.code == 1
    assert "--data-dir" in ran.err


def test_an_unknown_subcommand_is_a_usage_error(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "emulator", "exprot")
    assert ran.code == 2
    assert "there is no command 'emulator exprot'" in ran.err
