"""`ckfunc types`: write type stubs and JSON schemas for editors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.cli.app import App
from ckfunc.cli.options import command, flag
from ckfunc.cli.output import Segment
from ckfunc.scaffold.writing import Written, written_json, written_lines, written_rows

if TYPE_CHECKING:
    from ckfunc.model.outputs import StaleFileJson, StaleTypesJson


@command("""
  ckfunc types                        after a clone or an upgrade
  ckfunc types --check                list outdated files
  ckfunc types --no-install           use installed packages
""")
@flag("--check", "List files that are out of date; exit 1 if there are any.")
@flag("--install/--no-install", "Download packages whose types are missing (default).", default=True)
def types(app: App, check: bool, install: bool) -> int:
    """Write type stubs, JSON schemas of functions.yaml and test files, and links to packages, for editors and tsc.

    Packages of the runtime are linked into node_modules from the cache that handlers use. Other packages there are
    left alone.
    """
    from ckfunc.scaffold.types import Progress, stale_types, tsconfig_advice, write_types

    output, root, load = app.output, app.root(), partial(app.workspace.load, lenient=True)
    stale: Mapping[str, str] = {}
    if check:
        stale = stale_types(load(), app.schemas())
        reasons: list[StaleFileJson] = [{"path": name, "reason": reason} for name, reason in stale.items()]
        checked: StaleTypesJson = {"current": not stale, "stale": reasons}
        lines = [(name, (f"  ({reason})", "muted")) for name, reason in stale.items()]
        outdated = (("the types are not up to date", "failure"), ": run `ckfunc types`")
        output.result(checked, lines, summary=[outdated if stale else (("the types are up to date", "success"),)])
    else:
        progress = Progress(output.progress, output.detail, output.warn)
        written, links = write_types(root, load, app.schemas(), progress, install=install)
        shown = links if output.settings.json else tuple(link for link in links if link.action != "unchanged")
        show_written(app, root, (*written, *shown))
    output.warn(*tsconfig_advice(root))
    return EXIT_FAILED if stale else EXIT_OK


def show_written(
    app: App,
    root: Path,
    written: Iterable[Written],
    *,
    also: Iterable[tuple[str, str]] = (),
    following: Iterable[Iterable[Segment]] = (),
) -> None:
    """Print the files that a command wrote below `root`, each with its action, and the messages `following`."""
    rows = written_rows(root, written, also)
    app.output.result(written_json(root, rows), (), summary=[*written_lines(rows), *following])
