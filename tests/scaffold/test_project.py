"""`ckfunc init`: files of a new project, and existing files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from ckfunc.base.errors import CkfuncError
from ckfunc.manifest.definition import json_schema
from ckfunc.manifest.project import load
from ckfunc.model.project import Target
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.project import add_handler, init
from ckfunc.scaffold.stubs import Schemas
from ckfunc.scaffold.writing import CannotWrite, FileAction, FilesExist, Written, write_all, written_or_undone

OWN = [
    "functions.yaml",
    "handlers/user-attempted-start-session.ts",
    "tests/user-attempted-start-session.yaml",
    "tsconfig.json",
    ".env.example",
    ".gitignore",
]


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def actions(root: Path, written: tuple[Written, ...]) -> dict[str, FileAction]:
    return {file.path.relative_to(root).as_posix(): file.action for file in written}


def test_a_new_project_has_a_manifest_a_handler_and_editor_files(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "project"
    written = init(root, Schemas('{"a": 1}'))
    assert set(actions(root, written)) == set(files_of(root))
    assert [file.path.relative_to(root).as_posix() for file in written][: len(OWN)] == OWN
    assert {file.action for file in written} == {FileAction.CREATED}
    assert json.loads((root / ".ckfunc" / "functions.schema.json").read_text()) == {"a": 1}


def test_the_manifest_names_the_schema_the_handler_and_the_emulator(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    text = (tmp_path / "functions.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=.ckfunc/functions.schema.json\n")
    manifest = yaml.safe_load(text)
    assert manifest["targets"][manifest["default_target"]] == {"emulator": True}
    [(trigger_type, function)] = manifest["functions"].items()
    assert trigger_type == "user.attempted.start_session"
    assert (tmp_path / function["handler"]).is_file()
    # A new project must not manage the runtime, because a deploy would empty that of an existing application.
    assert "runtime" not in manifest


def test_creating_the_same_project_again_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    again = actions(tmp_path, init(tmp_path, Schemas("{}")))
    assert set(again.values()) == {FileAction.UNCHANGED}


def test_existing_files_are_reported_together_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").write_text("mine")
    (tmp_path / "tsconfig.json").write_text("mine too")
    before = files_of(tmp_path)
    with pytest.raises(FilesExist, match=r"^functions\.yaml, tsconfig\.json already exist") as failure:
        init(tmp_path, Schemas("{}"))
    assert failure.value.hint == "use --force to overwrite"
    assert files_of(tmp_path) == before


def test_force_overwrites_all_files_except_the_gitignore(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.log\n.env\n")
    written = init(tmp_path, Schemas("{}"), force=True)
    assert actions(tmp_path, written)["functions.yaml"] is FileAction.OVERWRITTEN
    assert (tmp_path / "functions.yaml").read_text() != "mine"
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.env\n"
    [kept] = [file for file in written if file.action is FileAction.KEPT]
    assert kept.note == "add: .ckfunc/  .env.*  !.env.example  coverage/  node_modules/"


def test_a_complete_gitignore_is_unchanged_without_a_note(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text(".ckfunc/\n.env\n.env.*\n!.env.example\ncoverage/\nnode_modules/\nmore\n")
    [unchanged] = [file for file in init(tmp_path, Schemas("{}")) if file.path == tmp_path / ".gitignore"]
    assert (unchanged.action, unchanged.note) == (FileAction.UNCHANGED, None)


def test_a_gitignore_that_is_not_text_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"\xff\xfe")
    [kept] = [file for file in init(tmp_path, Schemas("{}")) if file.action is FileAction.KEPT]
    assert kept.note is not None


def test_generated_files_are_replaced_without_force(tmp_path: Path) -> None:
    made = tmp_path / ".ckfunc" / "types" / "chatkitty.d.ts"
    made.parent.mkdir(parents=True)
    made.write_text("of an older ckfunc")
    assert actions(tmp_path, init(tmp_path, Schemas("{}")))[".ckfunc/types/chatkitty.d.ts"] is FileAction.OVERWRITTEN


def test_a_file_cannot_become_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CkfuncError, match="is not a directory"):
        init(tmp_path / "file", Schemas("{}"))


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_in_place_of_a_file_is_an_error(tmp_path: Path, force: bool) -> None:
    (tmp_path / "tsconfig.json").mkdir()
    with pytest.raises(CannotWrite, match=r"tsconfig\.json is a directory, nothing was written"):
        init(tmp_path, Schemas("{}"), force=force)
    assert files_of(tmp_path) == {}


def test_a_file_in_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "handlers").write_text("mine")
    with pytest.raises(CannotWrite, match="handlers is not a directory"):
        init(tmp_path, Schemas("{}"))
    assert files_of(tmp_path) == {"handlers": b"mine"}


def test_a_broken_link_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FilesExist, match=r"^functions\.yaml already exists"):
        init(tmp_path, Schemas("{}"))
    init(tmp_path, Schemas("{}"), force=True)
    assert not (tmp_path / "functions.yaml").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege there")
def test_files_are_restored_if_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "old.txt").chmod(0o600)
    (tmp_path / "link.txt").symlink_to("old.txt")
    with (
        pytest.raises(ZeroDivisionError),
        written_or_undone(
            tmp_path, {"old.txt": "new", "link.txt": "new", "a/b/new.txt": "new", "a/c.txt": "new"}, force=True
        ),
    ):
        assert (tmp_path / "old.txt").read_text() == (tmp_path / "a" / "b" / "new.txt").read_text() == "new"
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.txt", "old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"
    assert (tmp_path / "old.txt").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link.txt").readlink() == Path("old.txt")


def test_a_failed_write_undoes_the_previous_writes(tmp_path: Path) -> None:
    too_long = "x" * 250  # the name fits, but the longer name of its temporary file does not
    with pytest.raises(CannotWrite, match=r"cannot write .*: ") as failure:
        write_all(tmp_path, {"handlers/first.ts": "1", f"{too_long}.ts": "2"}, force=False)
    assert failure.value.hint == "nothing was written"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_system_rejects_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"cannot write .*: "):
        init(tmp_path / ("x" * 300), Schemas("{}"))


def test_a_new_project_is_valid_and_needs_no_variables(tmp_path: Path) -> None:
    init(tmp_path, Schemas(json.dumps(json_schema())))
    project = load(tmp_path, None, {})
    assert project.target == Target("local", emulator=True)
    assert [function.type for function in project.functions or ()] == ["user.attempted.start_session"]
    assert project.warnings == ()


def test_every_known_trigger_type_can_be_added_to_a_new_project(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    others = [trigger.type for trigger in TRIGGERS if trigger.type != "user.attempted.start_session"]
    for name in others:
        add_handler(tmp_path, name)
    project = load(tmp_path, None, {})
    assert {function.type for function in project.functions or ()} == {trigger.type for trigger in TRIGGERS}
    assert "# production:" in (tmp_path / "functions.yaml").read_text()


def test_a_second_handler_of_a_type_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    before = files_of(tmp_path)
    with pytest.raises(CkfuncError, match=r"already has user\.attempted\.start_session"):
        add_handler(tmp_path, "user.attempted.start_session")
    assert files_of(tmp_path) == before
