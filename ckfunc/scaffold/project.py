"""What a new project consists of: the smallest one that deploys as it is to the local emulator."""

from __future__ import annotations

import os
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file
from ckfunc.model.triggers import BY_TYPE
from ckfunc.scaffold.handler import handler_path, handler_text
from ckfunc.scaffold.render import render
from ckfunc.scaffold.stubs import node_stub, stub_files
from ckfunc.scaffold.writing import Action, Written, is_directory, write_all


def init(directory: Path, *, schema: str, tests_schema: str = "", force: bool = False) -> tuple[Written, ...]:
    """Make a project in `directory`, which may exist, and return what became of each file.

    `schema` is the manifest's JSON schema as text, `tests_schema` that of test files. An existing file with other
    content is never overwritten without `force`: all of them are reported at once (FilesExist) and nothing is written.
    A `.gitignore` that is there is left alone always; its note names the lines that it lacks. Raises CannotWrite.
    """
    if os.path.lexists(directory) and not is_directory(directory):
        raise CkfuncError(f"{directory} is not a directory", hint="choose another name for the project")
    files = project_files()
    kept = _kept_gitignore(directory / ".gitignore", files[".gitignore"])
    if kept:
        del files[".gitignore"]
    made = stub_files(schema=schema, tests_schema=tests_schema, node=node_stub(directory))
    own = write_all(directory, files | made, force=force, replaceable=made)
    return (*own[: len(files)], *((kept,) if kept else ()), *own[len(files) :])


def project_files() -> dict[str, str]:
    """Return the files of a new project, but for what can be made again: path below it to text."""
    first = BY_TYPE["user.attempted.start_session"]
    return {
        "functions.yaml": render("project/functions.yaml", handler=handler_path(first)),
        handler_path(first): handler_text(first),
        f"tests/{first.file_stem}.yaml": render("project/tests-start-session.yaml"),
        "tsconfig.json": render("project/tsconfig.json"),
        ".env.example": render("project/env.example"),
        ".gitignore": render("project/gitignore"),
    }


def _kept_gitignore(path: Path, wanted: str) -> Written | None:
    """Return what is said of a `.gitignore` that exists, None when there is none."""
    if not os.path.lexists(path):
        return None
    try:
        have = {line.strip() for line in read_file(path).decode().splitlines()}
    except (OSError, UnicodeDecodeError):
        return Written(path, Action.KEPT, note="it could not be read: see that .env is ignored")
    missing = [line for line in wanted.splitlines() if line not in have]
    return Written(path, Action.KEPT, note=f"add: {'  '.join(missing)}" if missing else None)
