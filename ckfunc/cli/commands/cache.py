"""`ckfunc cache`: show and clean the cache."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from ckfunc.base.clock import duration_s
from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import cache_dir
from ckfunc.base.text import size_text
from ckfunc.cli.app import App
from ckfunc.cli.options import command, group
from ckfunc.runtime.cache import PACKAGES, CacheEntry, CacheRefused, Total, entries
from ckfunc.runtime.cache import clean as clean_entries

if TYPE_CHECKING:
    from ckfunc.model.outputs import CacheCleanedJson, CacheJson

_LONGEST_NAME = 70


@group("""
  ckfunc cache info
  ckfunc cache clean --dry-run
  ckfunc cache clean --older-than 30d
""")
def cache(_app: App) -> None:
    """Show and clean the cache.

    The cache holds only files that ckfunc can recreate: installed npm packages, the TypeScript compiler, esbuild,
    bundles and compiled scripts. All projects share it. Set CKFUNC_CACHE_DIR to use another directory.
    """


@command(
    """
  ckfunc cache info
  ckfunc cache info --json
    """,
    within=cache,
)
def info(app: App) -> None:
    """List what is cached, with sizes.

    Each installation of packages has its own line, largest first.
    """
    directory = cache_dir()
    cached = entries(directory)
    if app.output.json:
        document: CacheJson = {
            "directory": str(directory),
            "bytes": _size(cached),
            "entries": [entry.to_json() for entry in cached],
        }
        app.output.document(document)
        return
    app.output.line(str(directory))
    for total in Total.of(cached):
        app.output.line(_columns(total.size_bytes), total.kind, (f"  ({total.count})", "muted"))
    app.output.line(_columns(_size(cached)), ("total", "title"))
    installed = sorted((entry for entry in cached if entry.kind == PACKAGES), key=lambda entry: -entry.size_bytes)
    if installed:
        app.output.line()
        app.output.line(("packages", "title"))
    for entry in installed:
        note = "in use" if entry.in_use else f"last used {_day(entry)}"
        app.output.line(_columns(entry.size_bytes), _shortened(entry.name), (f"  ({note})", "muted"))


@command(
    """
  ckfunc cache clean                   remove everything unused
  ckfunc cache clean --older-than 30d  only what was not used for 30 days
  ckfunc cache clean --dry-run         show what would be removed
    """,
    within=cache,
)
@click.option("--older-than", metavar="AGE", help="Only remove what was not used for this long, such as 12h or 30d.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
def clean(app: App, older_than: str | None, dry_run: bool) -> None:
    """Remove what is cached and not in use.

    Entries in use by a running ckfunc are kept. Commands download or build it again when they need it.
    """
    age_s = 0.0 if older_than is None else duration_s(older_than)
    if age_s is None:
        raise UsageProblem(f"invalid --older-than value {older_than!r}", hint="examples: 12h, 30d, 8w")
    directory = cache_dir()
    with CacheRefused.reported(directory):
        removed, used = clean_entries(directory, older_than_s=age_s, dry_run=dry_run)
    if app.output.json:
        document: CacheCleanedJson = {
            "directory": str(directory),
            "dryRun": dry_run,
            "bytes": _size(removed),
            "removed": [entry.to_json() for entry in removed],
            "inUse": [entry.to_json() for entry in used],
        }
        app.output.document(document)
        return
    for entry in removed:
        if entry.kind == PACKAGES:
            app.output.line(_columns(entry.size_bytes), _shortened(entry.name))
    for total in Total.of([entry for entry in removed if entry.kind != PACKAGES]):
        app.output.line(_columns(total.size_bytes), total.kind, (f"  ({total.count})", "muted"))
    if used:
        app.output.talk(f"kept {_shortened(', '.join(entry.name for entry in used))}: in use by a running ckfunc")
    verb = "Would remove" if dry_run else "Removed"
    app.output.talk((f"{verb} {size_text(_size(removed))}", "success"), f" from {app.output.path(directory)}")


def _size(cached: Sequence[CacheEntry]) -> int:
    return sum(entry.size_bytes for entry in cached)


def _day(entry: CacheEntry) -> str:
    return datetime.fromtimestamp(entry.used).astimezone().date().isoformat()


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _columns(size_bytes: int) -> str:
    return f"{size_text(size_bytes):>10}  "
