"""What the first version of a handler looks like, and how `ckfunc new` adds one to a project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ckfunc.base.errors import UsageProblem
from ckfunc.base.nearest import nearest
from ckfunc.manifest.definition import fits_type
from ckfunc.model.triggers import BY_TYPE, Trigger
from ckfunc.scaffold.render import render
from ckfunc.scaffold.writing import Written, written_or_undone


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


def known_trigger(trigger_type: str) -> Trigger:
    """Return the trigger of this type. Raises UsageProblem, with the nearest known one as a hint."""
    if trigger := BY_TYPE.get(trigger_type):
        return trigger
    near = nearest(trigger_type, BY_TYPE)
    hint = f"did you mean {near}?" if near else f"known types: {', '.join(sorted(BY_TYPE))}"
    raise UsageProblem(f"{trigger_type!r} is not a trigger type that ckfunc knows", hint=hint)
