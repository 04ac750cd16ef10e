"""Shell completion of trigger types, targets, files, users and channels.

No request is sent. If the project cannot be read, fewer completions are offered.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import paths_beginning
from ckfunc.emulator.data_directory import project_data, stored_names

T = TypeVar("T")


def complete_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the trigger types that begin with `incomplete`: those of the manifest, or else all known types."""
    return _beginning(_manifest_types(ctx) or _known_types(), incomplete)


def complete_known_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the known trigger types that are not in the manifest."""
    present = set(_manifest_types(ctx))
    return _beginning((name for name in _known_types() if name not in present), incomplete)


def complete_only(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the values of `--only`: trigger types, `runtime` and `settings`."""
    return [*complete_types(ctx, param, incomplete), *_beginning(["runtime", "settings"], incomplete)]


def complete_data(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the files that begin with the text after `@`, each with its `@`; directories end with a slash."""
    return [f"@{name}" for name in complete_files(ctx, incomplete[1:])] if incomplete.startswith("@") else []


def complete_files(ctx: click.Context, incomplete: str) -> list[str]:
    """Return the files in the directory of `-C`, or else the current one, that begin with `incomplete`."""
    app = ctx.find_root().obj
    directory = Path() if app is None else app.settings.directory or Path()
    with suppress(RuntimeError):  # a user without a home
        directory = directory.expanduser()  # shells expand `~` only when they run the command
    return paths_beginning(incomplete, directory)


def complete_locked(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the packages in functions.lock that begin with `incomplete`."""
    from ckfunc.manifest.project import read_lock

    lock = _of_project(ctx, read_lock)
    return _beginning(sorted(lock.versions()), incomplete) if lock else []


def complete_targets(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the targets of the manifest that begin with `incomplete`."""
    from ckfunc.manifest.project import targets

    return _beginning(_of_project(ctx, targets) or (), incomplete)


def _complete_stored(table: str, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names in a table of the project's emulator that begin with `incomplete`."""
    names = _of_project(ctx, lambda root: stored_names(project_data(root), table, incomplete))
    # Shells would split a name with white space.
    return [name for name in names or () if name.isprintable() and not name.split()[1:]]


complete_users = partial(_complete_stored, "users")
complete_channels = partial(_complete_stored, "channels")


def complete_snapshots(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the snapshots of the project's emulator that begin with `incomplete`."""
    from ckfunc.emulator.data import Snapshots

    snapshots = _of_project(ctx, lambda root: Snapshots(project_data(root)).all())
    return _beginning((snapshot.name for snapshot in snapshots or ()), incomplete)


def complete_operations(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of operations of the Platform API that begin with `incomplete`."""
    from ckfunc.wire.faults import operation_ids

    return _beginning(operation_ids(), incomplete)


def _of_project(ctx: click.Context, read: Callable[[Path], T]) -> T | None:
    """Return what `read` returns for the project's directory; None without a project, or if it cannot be read."""
    app = ctx.find_root().obj
    try:
        return None if app is None else read(app.root())
    except CkfuncError:
        return None


def _known_types() -> list[str]:
    from ckfunc.model.triggers import TRIGGERS

    return [trigger.type for trigger in TRIGGERS]


def _manifest_types(ctx: click.Context) -> tuple[str, ...]:
    from ckfunc.manifest.project import function_types

    return _of_project(ctx, function_types) or ()


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def read_bash_line() -> None:
    """Set the words of the line that bash completes, as click reads them from the environment."""
    from click.shell_completion import split_arg_string

    line = os.environ.get("COMP_LINE")
    if line is not None and os.environ.get("_CKFUNC_COMPLETE") == "bash_complete":
        words = split_arg_string(line)
        if not line or line[-1:].isspace():
            words.append("")
        os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(words), str(len(words) - 1)
