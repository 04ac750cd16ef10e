"""What a shell offers for trigger types and targets: those of the project, without a request and without a failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from ckfunc.cli.context import App


def complete_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the trigger types that begin with `incomplete`: those of the manifest, else all that ckfunc knows."""
    return _beginning(_manifest_types(_app(ctx)) or _known_types(), incomplete)


def complete_known_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the trigger types that ckfunc knows and the manifest does not have yet."""
    there = set(_manifest_types(_app(ctx)))
    return _beginning((one for one in _known_types() if one not in there), incomplete)


def complete_targets(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the targets of the manifest that begin with `incomplete`."""
    from ckfunc.base.errors import CkfuncError
    from ckfunc.manifest import targets

    app = _app(ctx)
    try:
        return _beginning(targets(app.root()) if app else (), incomplete)
    except CkfuncError:
        return []


def _app(ctx: click.Context) -> App | None:
    app: App | None = ctx.find_root().obj
    return app


def _known_types() -> list[str]:
    from ckfunc.model.triggers import TRIGGERS

    return [one.type for one in TRIGGERS]


def _manifest_types(app: App | None) -> tuple[str, ...]:
    from ckfunc.base.errors import CkfuncError
    from ckfunc.manifest import function_types

    try:
        return function_types(app.root()) if app else ()
    except CkfuncError:
        return ()


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [one for one in names if one.startswith(incomplete)]


def completion_script(shell: str) -> str:
    """Return what a shell ("bash", "zsh" or "fish") must read in order to complete `ckfunc`."""
    from click.shell_completion import get_completion_class

    from ckfunc.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click knows these three, and the command takes no other
    completer = made(cli, {}, "ckfunc", "_CKFUNC_COMPLETE")
    # Not source(): that runs bash to see its version, and what is printed may be for another machine.
    return completer.source_template % completer.source_vars()
