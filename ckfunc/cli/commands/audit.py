"""`ckfunc audit`: known vulnerabilities of the project's npm packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.base.files import cache_dir
from ckfunc.base.text import printable, table
from ckfunc.cli.app import App
from ckfunc.cli.options import command

if TYPE_CHECKING:
    from ckfunc.model.lock import PackageLock
    from ckfunc.model.outputs import AuditJson
    from ckfunc.runtime.locks import Vulnerability

# Rooms are imported inside the functions: `ckfunc audit --help` must not load the manifest.


@command("""
  ckfunc audit                        list every known vulnerability
  ckfunc audit --level high           only high and critical ones
  ckfunc audit --json                 list them as data
""")
@click.option(
    "--level",
    type=click.Choice(["low", "moderate", "high", "critical"]),
    default="low",
    show_default=True,
    help="Only report vulnerabilities of this severity or higher.",
)
def audit(app: App, level: str) -> int:
    """Ask the npm registry for known vulnerabilities in the packages of functions.lock.

    Without functions.lock, the versions that npm would install now are audited. Exits 1 if there are vulnerabilities,
    or if the registry does not respond. Vulnerabilities in packages that only the platform installs are listed, but do
    not affect the exit code: the project cannot change these packages.
    """
    from ckfunc.bundle.locking import current_lock, newest_versions
    from ckfunc.runtime import locks

    with app.output.progress("auditing"):
        policy = app.workspace.install_policy()
        lock = current_lock(app.root())
        if lock is None:
            app.output.talk("there is no functions.lock: auditing the versions that npm would install now")
            lock = newest_versions(app.root(), policy)
        every = locks.audit(lock, cache_dir(), policy)
    vulnerabilities = [each for each in every if locks.SEVERITIES.index(each.severity) >= locks.SEVERITIES.index(level)]
    own = [each for each in vulnerabilities if not each.by_platform]
    if app.output.json:
        document: AuditJson = {
            "packages": len(lock.packages),
            "vulnerabilities": [each.to_json() for each in vulnerabilities],
            "ok": not own,
        }
        app.output.document(document)
    else:
        if vulnerabilities:
            app.output.lines(table(locks.HEADINGS, [each.cells() for each in vulnerabilities]))
            app.output.line()
            app.output.lines(each.title_line() for each in vulnerabilities)
            app.output.flush()
        _print_summary(app, lock, vulnerabilities, own)
    return EXIT_FAILED if own else EXIT_OK


def _print_summary(
    app: App, lock: PackageLock, vulnerabilities: Sequence[Vulnerability], own: Sequence[Vulnerability]
) -> None:
    count = f"{len(lock.packages)} package{'' if len(lock.packages) == 1 else 's'}"
    platform = len(vulnerabilities) - len(own)
    if own:
        app.output.talk((_vulnerabilities(len(own)), "failure"), f" in {count}")
    else:
        where = "the packages that the project can change" if platform else count
        app.output.talk(("no known vulnerabilities", "success"), f" in {where}")
    if platform:
        app.output.talk(f"{_vulnerabilities(platform)} in the platform's own packages, which only ChatKitty can update")
    if names := sorted({each.package for each in own if each.upgrade}):
        app.output.talk(("next: ", "title"), f"ckfunc lock --upgrade {' '.join(map(printable, names))}")


def _vulnerabilities(count: int) -> str:
    return f"{count} vulnerabilit{'y' if count == 1 else 'ies'}"
