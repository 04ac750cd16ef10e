"""`ckfunc lock`: write functions.lock, or check it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, LockOutdated, UsageProblem
from ckfunc.base.files import cache_dir, write_atomically
from ckfunc.base.text import nearest, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_locked
from ckfunc.cli.options import common_options, pass_app

if TYPE_CHECKING:
    from ckfunc.base.text import Line
    from ckfunc.model.lock import LockChange, PackageLock
    from ckfunc.model.outputs import LockCheckJson, LockJson

# Rooms are imported inside the functions: `ckfunc lock --help` must not load the manifest.


@click.command(
    epilog="""\b
Examples:
  ckfunc lock                         after a change of dependencies
  ckfunc lock --upgrade               use the newest versions that fit
  ckfunc lock --upgrade lodash        upgrade only one package
  ckfunc lock --check                 exit 1 if it is out of date, for CI
  ckfunc lock --json                  list the changes as data"""
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_locked)
@click.option("--upgrade", is_flag=True, help="Use the newest versions that fit, of all packages or of NAME.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if functions.lock is missing or out of date.")
@common_options
@pass_app
def lock(app: App, names: tuple[str, ...], upgrade: bool, check: bool) -> int:
    """Write functions.lock: the exact version and checksum of every npm package, direct and transitive.

    npm resolves runtime.dependencies and the platform's own packages. Locked versions that still fit stay.
    Commit the file: then every machine installs the same packages, and a deploy sends the exact versions.
    """
    if names and not upgrade:
        raise UsageProblem(
            "package names can only be given with --upgrade", hint=f"ckfunc lock --upgrade {' '.join(names)}"
        )
    if check and upgrade:
        raise UsageProblem("--check and --upgrade can't be used together", hint="--check writes nothing")
    return _check(app) if check else _write(app, names, upgrade_all=upgrade and not names)


def _check(app: App) -> int:
    from ckfunc.manifest.lock import read_lock
    from ckfunc.manifest.project import lock_problems
    from ckfunc.model.lock import LOCK_NAME

    root = app.root()
    problems = lock_problems(root)
    if app.output.json:
        checked: LockCheckJson = {"current": not problems, "problems": [str(problem) for problem in problems]}
        app.output.document(checked)
        return EXIT_FAILED if problems else EXIT_OK
    if problems:
        raise LockOutdated(problems)
    found = read_lock(root)
    if found is None:
        raise CkfuncError(f"the project has no {LOCK_NAME}", hint="`ckfunc lock` writes it")
    app.output.talk((f"{LOCK_NAME} is up to date", "success"), f": {_count(found)}")
    return EXIT_OK


def _write(app: App, names: Sequence[str], *, upgrade_all: bool) -> int:
    from ckfunc.manifest.lock import lock_text, read_lock
    from ckfunc.manifest.project import wanted_packages
    from ckfunc.model.lock import LOCK_NAME, PLATFORM_RANGES, lock_changes
    from ckfunc.runtime.resolution import resolve

    root = app.root()
    before, dependencies = read_lock(root), wanted_packages(root).dependencies
    if dependencies is None:
        raise CkfuncError(
            "functions.yaml does not manage the packages of the runtime, so there is nothing to lock",
            hint="add `dependencies` under `runtime`: `{}` if there are none",
        )
    _require_known(names, before)
    wanted = {**PLATFORM_RANGES, **dependencies}
    if before is not None and before.dependencies == wanted and not (upgrade_all or names):
        after = before  # npm would not change a version that fits
    else:
        policy = app.workspace.install_policy()
        with app.output.progress("resolving"):
            after = resolve(wanted, cache_dir(), policy, None if upgrade_all else before, names)
    changes, text = lock_changes(before, after), lock_text(after)
    file = root / LOCK_NAME
    require_inside(root, file)
    written = before != after
    if written:
        write_atomically(file, text)
    if app.output.json:
        document: LockJson = {
            "file": LOCK_NAME,
            "written": written,
            "packages": len(after.packages),
            "changes": [change.to_json() for change in changes],
        }
        app.output.document(document)
        return EXIT_OK
    for change in changes:
        app.output.lines(_change_lines(change))
    app.output.flush()
    verdict = f"wrote {LOCK_NAME}" if written else f"{LOCK_NAME} is up to date"
    same = ", no version changed" if written and not changes else ""
    app.output.talk((verdict, "success"), f": {_count(after)}{same}")
    return EXIT_OK


def _require_known(names: Sequence[str], before: PackageLock | None) -> None:
    """Raise CkfuncError for names of packages that are not in the lock."""
    if not names:
        return
    if before is None:
        raise CkfuncError("there is no functions.lock to upgrade", hint="`ckfunc lock` writes it")
    known = before.versions()
    for name in names:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close}?" if close else "`ckfunc lock` adds packages that are new in functions.yaml"
            raise UsageProblem(f"functions.lock has no package {name!r}", hint=hint)


def _change_lines(change: LockChange) -> Iterator[Line]:
    """Yield a `~` line for one version that replaces another, and else a line for each version."""
    name = printable(change.name)
    if change.before == change.after:
        yield [("~ ", "update"), (f"{name} {', '.join(change.after)}", ""), ("  (different contents)", "muted")]
    elif len(change.before) == len(change.after) == 1:
        yield [("~ ", "update"), (f"{name} {change.before[0]} → {change.after[0]}", "")]
    else:
        yield from ([("- ", "remove"), (f"{name} {version}", "")] for version in change.before)
        yield from ([("+ ", "create"), (f"{name} {version}", "")] for version in change.after)


def _count(found: PackageLock) -> str:
    return f"{len(found.packages)} package{'' if len(found.packages) == 1 else 's'}"
