"""`ckfunc cache`: show and clean the cache."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.group(
    epilog="""\b
Examples:
  ckfunc cache info
  ckfunc cache clean --dry-run
  ckfunc cache clean --older-than 30d"""
)
@common_options
def cache() -> None:
    """Show and clean the cache.

    The cache holds what ckfunc can make again: installed npm packages, the TypeScript compiler, esbuild, bundles and
    compiled scripts. It is shared by all projects. CKFUNC_CACHE_DIR names another directory for it.
    """


@cache.command(
    epilog="""\b
Examples:
  ckfunc cache info
  ckfunc cache info --json"""
)
@common_options
@pass_app
def info(app: App) -> None:
    """List what is cached, with sizes.

    Each installation of packages is a line of its own, the largest first.
    """
    from ckfunc.cli.caching import show_info

    show_info(app)


@cache.command(
    epilog="""\b
Examples:
  ckfunc cache clean                   remove everything that no running process uses
  ckfunc cache clean --older-than 30d  only what was not used for 30 days
  ckfunc cache clean --dry-run         show what would be removed"""
)
@click.option("--older-than", metavar="AGE", help="Only remove what was not used for this long, such as 12h or 30d.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@common_options
@pass_app
def clean(app: App, older_than: str | None, dry_run: bool) -> None:
    """Remove what is cached and not in use.

    What a running ckfunc uses stays. The next command that needs something fetches or makes it again.
    """
    from ckfunc.cli.caching import clean_cache

    clean_cache(app, older_than, dry_run=dry_run)
