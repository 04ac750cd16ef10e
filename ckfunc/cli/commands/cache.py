"""`ckfunc cache`: show and clean the cache."""

from __future__ import annotations

from functools import partial

from ckfunc.base.clock import duration_s
from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import cache_dir
from ckfunc.cli.app import App
from ckfunc.cli.options import flag, group, option
from ckfunc.runtime.cache import clean as clean_entries
from ckfunc.runtime.cache import entries, info_json, info_lines


@partial(group, invoke_without_command=False)
def cache(_app: App) -> None:
    """Show and clean the cache.

    The cache holds only files that ckfunc can recreate: installed npm packages, the TypeScript compiler, esbuild,
    bundles and compiled scripts. All projects share it. Set CKFUNC_CACHE_DIR to use another directory.
    """


@cache.subcommand
def info(app: App) -> None:
    """List cached files with their sizes.

    Each installation of packages has its own line, largest first.
    """
    directory = cache_dir()
    cached = entries(directory)
    app.output.result(info_json(directory, cached), [(str(directory),), *info_lines(cached)])


@cache.subcommand
@option("--older-than", "AGE", "Only remove files not used for this long, such as 12h or 30d.")
@flag("--dry-run", "Show which files would be removed; remove nothing.")
def clean(app: App, older_than: str | None, dry_run: bool) -> None:
    """Remove cached files that are not in use.

    Entries in use by a running ckfunc are kept. Commands download or build removed files again when needed.
    """
    age_s = 0.0 if older_than is None else duration_s(older_than)
    if age_s is None:
        raise UsageProblem(f"invalid --older-than value {older_than!r}", hint="examples: 12h, 30d, 8w")
    cleanup = clean_entries(cache_dir(), older_than_s=age_s, dry_run=dry_run)
    app.output.result(cleanup.to_json(), cleanup.lines(), summary=cleanup.summary())
