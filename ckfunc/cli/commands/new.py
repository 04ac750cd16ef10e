"""`ckfunc new`: add a handler and its manifest entry."""

from __future__ import annotations

from ckfunc.base.text import nearest
from ckfunc.cli.app import App
from ckfunc.cli.commands.types import show_written
from ckfunc.cli.completion import complete_known_types
from ckfunc.cli.options import argument, command, flag
from ckfunc.model.triggers import BY_TYPE


@command("""
  ckfunc new user.sent.message
  ckfunc new user.received.notification --force
""")
@argument("trigger_type", "TYPE", complete=complete_known_types)
@flag("--force", "Overwrite the handler file if it exists.")
def new(app: App, trigger_type: str, force: bool) -> None:
    """Add a handler for TYPE: handlers/….ts and an entry in functions.yaml, which keeps its comments and formatting.

    ckfunc warns about a TYPE that it does not know.
    """
    from ckfunc.scaffold.project import add_handler

    root = app.root()
    if trigger_type not in BY_TYPE:
        meant = nearest(trigger_type, BY_TYPE)
        advice = f"did you mean {meant}?" if meant else "ckfunc does not know this type, but the platform may"
        app.output.warn(f"unknown trigger type {trigger_type!r} ({advice})")
    written = add_handler(root, trigger_type, force=force)
    show_written(app, root, written, also=[("functions.yaml", "updated")])
