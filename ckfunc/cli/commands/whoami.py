"""`ckfunc whoami`: show the application that the target's credentials belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app

if TYPE_CHECKING:
    from ckfunc.model.outputs import IdentityJson


@click.command(
    epilog="""\b
Examples:
  ckfunc whoami
  ckfunc whoami --target production --json"""
)
@common_options
@pass_app
def whoami(app: App) -> None:
    """Show which application the target's credentials belong to, and where the credentials come from."""
    # Not at the top of the module: `ckfunc whoami --help` must not load the API client.
    from ckfunc.api.credentials import FoundConnection, described

    root, target = app.place()
    if target.emulator:
        credentials = FoundConnection(app.connection(), "the emulator's own")
    else:
        credentials = app.credentials(root, target)
    application = app.connect(credentials.connection).application()
    shown: IdentityJson = {**described(target, application, credentials.connection), "credentials": credentials.source}
    if app.output.json:
        app.output.document(shown)
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        app.output.line((f"{name.replace('_', ' '):<{width}}  ", "muted"), printable(str(value)))
