"""New projects, and new handlers in them.

The smallest project deploys as it is to the local emulator.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import read_file
from ckfunc.manifest.definition import fits_type
from ckfunc.model.triggers import BY_TYPE, Trigger
from ckfunc.scaffold.render import render
from ckfunc.scaffold.stubs import Schemas, node_stub, stub_files
from ckfunc.scaffold.writing import FileAction, Written, is_directory, write_all, written_or_undone


def init(directory: Path, schemas: Schemas, *, force: bool = False) -> tuple[Written, ...]:
    """Make a project in `directory`, which may exist, and return what was done about each file.

    An existing file with other content is never overwritten without `force`: all of them are reported at once
    (FilesExist) and nothing is written. An existing `.gitignore` is always left alone; its note names the lines that it
    lacks. Raises CannotWrite.
    """
    if os.path.lexists(directory) and not is_directory(directory):
        raise CkfuncError(f"{directory} is not a directory", hint="choose another name for the project")
    files = project_files()
    kept = _kept_gitignore(directory / ".gitignore", files[".gitignore"])
    if kept:
        del files[".gitignore"]
    made = stub_files(schemas, node=node_stub(directory))
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
        return Written(path, FileAction.KEPT, note="it could not be read: see that .env is ignored")
    missing = [line for line in wanted.splitlines() if line not in have]
    return Written(path, FileAction.KEPT, note=f"add: {'  '.join(missing)}" if missing else None)


def handler_text(trigger: Trigger) -> str:
    """Return the TypeScript source of a new handler for `trigger`; it compiles and does something harmless."""
    return render(
        "handler.ts",
        type=trigger.type,
        when=trigger.when,
        event_type=trigger.event_type if trigger.type in BY_TYPE else "any",
        body=f"bodies/{trigger.type}.ts.j2",
    )


def handler_path(trigger: Trigger) -> str:
    """Return where a new handler for `trigger` goes, relative to the project."""
    return f"handlers/{trigger.file_stem}.ts"


def new_handler(
    root: Path, trigger_type: str, *, register: Callable[[str, str], None], force: bool = False
) -> tuple[Written, ...]:
    """Write a handler for `trigger_type` and have it entered in the manifest; both are done, or neither.

    `register(trigger_type, path)` adds the entry; when it raises, the handler is taken back and its error goes on.
    Raises UsageProblem for what cannot be a type, FilesExist, CannotWrite.
    """
    trigger = BY_TYPE.get(trigger_type) or _unknown(trigger_type)
    path = handler_path(trigger)
    with written_or_undone(root, {path: handler_text(trigger)}, force=force) as written:
        register(trigger.type, path)
    return written


def _unknown(trigger_type: str) -> Trigger:
    """Return a trigger that the platform may know though ckfunc does not. Raises UsageProblem."""
    if not fits_type(trigger_type):
        raise UsageProblem(
            f"{trigger_type!r} is not a trigger type", hint="words with dots between them, such as user.sent.message"
        )
    return Trigger(trigger_type, "ckfunc does not know this type")
