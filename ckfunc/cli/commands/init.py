"""`ckfunc init`, `new` and `types`: the files of a project that ckfunc writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, UsageProblem
from ckfunc.base.text import Piece
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_known_types
from ckfunc.cli.options import DIRECTORY, argument, choice, command, flag, option
from ckfunc.scaffold.writing import Written, written_json, written_lines, written_rows


@command
@argument("directory", "[DIR]", DIRECTORY, required=False)
@choice("--ci", ["github", "gitlab"], "Add a CI pipeline (only that, in an existing project).")
@option("--branch", "NAME", "With --ci: the branch to deploy (default: the repository's default branch).")
@option("--install", "SPEC", "With --ci: what pip installs (default: where this ckfunc comes from).")
@flag("--force", "Overwrite files that exist.")
def init(
    app: App, directory: Path | None, ci: str | None, branch: str | None, install: str | None, force: bool
) -> None:
    """Create a project in DIR (default: the current directory): manifest, first handler, types and editor settings.

    Existing files are never overwritten without --force. A pipeline (--ci) checks and tests every change, shows the
    plan on pull requests, deploys the default branch to --target (default: production) with a plan that can be
    approved first, and reports drift every night.
    """
    if not ci and (branch or install):
        raise UsageProblem("--branch and --install need --ci", hint="for example, `ckfunc init --ci github`")
    from ckfunc.scaffold import ci as pipelines
    from ckfunc.scaffold import project as projects

    written: tuple[Written, ...] = ()
    root = top = Path(os.path.normpath(app.directory / directory)).resolve() if directory else app.directory
    here = app.output.path(root)
    following: list[Sequence[Piece]] = [(("next:", "title"), "" if here == "." else f" cd {here} &&", " ckfunc deploy")]
    if not (ci and (root / "functions.yaml").is_file()):
        written = projects.init(root, app.schemas(), force=force)
    if ci is not None:
        top, pipeline, warnings = pipelines.project_pipeline(
            root, target=app.settings.target, branch=branch, install=install
        )
        written += pipelines.write_pipeline(top, ci, pipeline, force=force)
        following = [(("next:", "title"),), *((f"  {step}",) for step in pipelines.next_steps(ci, pipeline))]
        app.output.warn(*warnings)
    _show_written(app, top, written, following=[(), *following])


@command
@argument("trigger_type", "TYPE", complete=complete_known_types)
@flag("--force", "Overwrite the handler file if it exists.")
def new(app: App, trigger_type: str, force: bool) -> None:
    """Add a handler for TYPE: handlers/….ts and an entry in functions.yaml, which keeps its comments and formatting.

    ckfunc warns about a TYPE that it does not know.
    """
    from ckfunc.scaffold.project import add_handler, type_warnings

    root = app.root()
    app.output.warn(*type_warnings(trigger_type))
    written = add_handler(root, trigger_type, force=force)
    _show_written(app, root, written, also=[("functions.yaml", "updated")])


@command
@flag("--check", "List files that are out of date; exit 1 if there are any.")
@flag("--install/--no-install", "Download packages whose types are missing (default).", default=True)
def types(app: App, check: bool, install: bool) -> int:
    """Write type stubs, JSON schemas of functions.yaml and test files, and links to packages, for editors and tsc.

    Packages of the runtime are linked into node_modules from the cache that handlers use. Other packages there are
    left alone.
    """
    from ckfunc.scaffold.types import Progress, stale_types, tsconfig_advice, write_types

    output, root, load = app.output, app.root(), partial(app.workspace.load, lenient=True)
    code = EXIT_OK
    if check:
        stale = stale_types(load(), app.schemas())
        output.result(stale.to_json(), stale.lines(), summary=[stale.summary_line()])
        code = EXIT_FAILED if stale.reasons else EXIT_OK
    else:
        progress = Progress(output.progress, output.detail, output.warn)
        written, links = write_types(root, load, app.schemas(), progress, install=install)
        shown = links if output.settings.json else tuple(link for link in links if link.action != "unchanged")
        _show_written(app, root, (*written, *shown))
    output.warn(*tsconfig_advice(root))
    return code


def _show_written(
    app: App,
    root: Path,
    written: Iterable[Written],
    *,
    also: Iterable[tuple[str, str]] = (),
    following: Iterable[Iterable[Piece]] = (),
) -> None:
    """Print the files that a command wrote below `root`, each with its action, and the messages `following`."""
    rows = written_rows(root, written, also)
    app.output.result(written_json(root, rows), (), summary=[*written_lines(rows), *following])
