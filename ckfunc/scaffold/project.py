"""New projects, and new handlers in them.

A new project can be deployed to the local emulator without changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import read_file
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.definition import FUNCTION_TYPE, fits
from ckfunc.manifest.edit import add_function
from ckfunc.model.triggers import BY_TYPE, Trigger, event_type, file_stem
from ckfunc.scaffold.stubs import Schemas, node_stub, stub_files
from ckfunc.scaffold.templates import render
from ckfunc.scaffold.types import update_example
from ckfunc.scaffold.writing import FileAction, Written, is_directory, write_all, written_or_undone


def init(directory: Path, schemas: Schemas, *, force: bool = False) -> tuple[Written, ...]:
    """Create a project in `directory`, which may exist; return the result for each file.

    Without `force`, existing files with other content are reported together (FilesExist) and nothing is written. An
    existing `.gitignore` is never changed; its note names the missing lines. Raises CannotWrite.
    """
    if os.path.lexists(directory) and not is_directory(directory):
        raise CkfuncError(f"{directory} is not a directory", hint="choose another directory for the project")
    files = project_files()
    gitignore = _existing_gitignore(directory / ".gitignore", files[".gitignore"])
    if gitignore:
        del files[".gitignore"]
    stubs = stub_files(schemas, node=node_stub(directory))
    written = write_all(directory, files | stubs, force=force, replaceable=stubs)
    return (*written[: len(files)], *((gitignore,) if gitignore else ()), *written[len(files) :])


def project_files() -> dict[str, str]:
    """Return the files of a new project, without generated ones, as a mapping of path to text."""
    first = BY_TYPE["user.attempted.start_session"]
    return {
        "functions.yaml": render("project/functions.yaml", handler=handler_path(first)),
        handler_path(first): handler_text(first),
        f"tests/{file_stem(first.type)}.yaml": render("project/tests-start-session.yaml"),
        "tsconfig.json": render("project/tsconfig.json"),
        ".env.example": render("project/env.example"),
        ".gitignore": render("project/gitignore"),
    }


def _existing_gitignore(path: Path, content: str) -> Written | None:
    """Return the result for an existing `.gitignore`, or None if there is none."""
    if not os.path.lexists(path):
        return None
    try:
        lines = {line.strip() for line in read_file(path).decode().splitlines()}
    except (OSError, UnicodeDecodeError):
        return Written(path, FileAction.KEPT, note="it could not be read: make sure that it lists .env")
    missing = [line for line in content.splitlines() if line not in lines]
    if not missing:
        return Written(path, FileAction.UNCHANGED)
    return Written(path, FileAction.KEPT, note=f"add: {'  '.join(missing)}")


def handler_text(trigger: Trigger) -> str:
    """Return the TypeScript source of a new handler for `trigger`, which compiles and has no harmful effects."""
    return render(
        "handler.ts",
        type=trigger.type,
        when=trigger.when,
        event_type=event_type(trigger.type) if trigger.type in BY_TYPE else "any",
        body=f"bodies/{trigger.type}.ts.j2",
    )


def handler_path(trigger: Trigger) -> str:
    """Return the path of a new handler for `trigger`, relative to the project."""
    return f"handlers/{file_stem(trigger.type)}.ts"


def type_warnings(trigger_type: str) -> Iterator[str]:
    """Yield a warning about a trigger type that ckfunc does not know."""
    if trigger_type not in BY_TYPE:
        advice = did_you_mean(trigger_type, BY_TYPE) or "ckfunc does not know this type, but the platform may"
        yield f"unknown trigger type {trigger_type!r} ({advice})"


def add_handler(root: Path, trigger_type: str, *, force: bool = False) -> tuple[Written, ...]:
    """Write a handler for `trigger_type`, its entry in functions.yaml, and the names of its variables in .env.example.

    If the entry cannot be added, the handler is removed again. Raises UsageProblem for an invalid type, FilesExist,
    CannotAdd, NoProject and CannotWrite.
    """
    trigger = BY_TYPE.get(trigger_type) or _unknown(trigger_type)
    path = handler_path(trigger)
    with written_or_undone(root, {path: handler_text(trigger)}, force=force) as written:
        add_function(root, trigger.type, path)
    return (*written, *update_example(root))


def _unknown(trigger_type: str) -> Trigger:
    """Return a trigger that ckfunc does not know, but the platform may. Raises UsageProblem for an invalid type."""
    if not fits(FUNCTION_TYPE, trigger_type):
        raise UsageProblem(
            f"{trigger_type!r} is not a trigger type", hint="words with dots between them, such as user.sent.message"
        )
    return Trigger(trigger_type, "ckfunc does not know this type")
