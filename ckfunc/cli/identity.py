"""How one logs in and out, and who one is to a target."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, CredentialsMissing, NoProject, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.credentials import (
    ENVIRONMENT_HINT,
    Found,
    Login,
    addresses_of,
    application_entry,
    connection_of,
    entry_names,
    forget_login,
    keep_login,
    keyring_name,
)
from ckfunc.model.project import Target

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.application import Application

_ANY = "any project"


class NoTerminal(UsageProblem):
    """A secret must be typed, and there is no terminal."""


def log_in(app: App, *, client_id: str | None, from_stdin: bool) -> None:
    """Ask for credentials, try them, and keep them in the system's keyring."""
    from ckfunc.api import Connection
    from ckfunc.deploy.plan.snapshot import require_application

    root, target = _place(app)
    if target.emulator:
        raise CkfuncError(f"target {target.name!r} is the emulator, which needs no login")
    addresses = addresses_of(root, target, app.environ)
    # Before anything is typed: without a keyring it would be in vain.
    keyring_name()
    login = _asked(app, client_id, from_stdin=from_stdin)
    client = app.connect(Connection(*addresses, login.client_id, login.client_secret))
    application = client.application()
    want = target.application
    require_application(target, str(application.id) if want is None or want.isdecimal() else application.key)
    both = tuple(application_entry(one, *addresses) for one in (str(application.id), application.key))
    bound = want is not None or target.name == _ANY
    where = keep_login(both if bound else entry_names(root, target, *addresses), login)
    if app.output.json:
        app.output.document({**_described(target, application, client), "keyring": where})
    else:
        app.output.talk(("logged in", "success"), f" to {_named(application)} for {target.name}, kept in {where}")
    if app.environ.get("CHATKITTY_CLIENT_ID") or app.environ.get("CHATKITTY_CLIENT_SECRET"):
        app.output.warn("CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET of this shell win over the keyring")


def log_out(app: App, *, application: str | None) -> None:
    """Remove a target's login from the keyring."""
    root, target = _place(app)
    if application is not None:
        target = Target(f"application {application}", application=application)
    elif target.name == _ANY:
        raise NoProject("outside of a project, logout needs to know which application", hint="--application ID")
    gone = forget_login(entry_names(root, target, *addresses_of(root, target, app.environ)))
    if app.output.json:
        app.output.document({"target": target.name, "removed": gone})
    else:
        app.output.talk(("logged out" if gone else "nobody was logged in", "muted"), f": {target.name}")


def who_am_i(app: App) -> None:
    """Print which application the target's credentials belong to, and where they come from."""
    root, target = _place(app)
    if target.emulator:
        found = Found(app.connection(), "the emulator's own")
    else:
        found = connection_of(root, target, app.environ)
    client = app.connect(found.connection)
    application = client.application()
    described = {**_described(target, application, client), "credentials": found.source}
    if app.output.json:
        app.output.document(described)
        return
    width = max(map(len, described))
    for name, value in described.items():
        app.output.line((f"{name.replace('_', ' '):<{width}}  ", "muted"), printable(str(value)))


def _place(app: App) -> tuple[Path, Target]:
    """Return the project and its target; outside of one, this directory and a target that stands for any."""
    try:
        return app.root(), app.target()
    except NoProject:
        if app.settings.target is not None:
            raise
        return app.directory, Target(_ANY)


def _asked(app: App, client_id: str | None, *, from_stdin: bool) -> Login:
    if from_stdin:
        if client_id is None:
            raise UsageProblem("--secret-stdin needs --client-id", hint="ckfunc login --client-id ID --secret-stdin")
        secret = sys.stdin.readline().strip()
    else:
        if not app.output.interactive:
            raise NoTerminal(
                "there is no terminal to type the secret on",
                hint=f"{ENVIRONMENT_HINT}, or pipe it: ckfunc login --client-id ID --secret-stdin",
            )
        client_id = client_id or app.output.ask("Client id")
        secret = app.output.ask("Client secret", hidden=True)
    if not secret:
        raise CredentialsMissing("the client secret is empty", hint="the dashboard shows it for each application")
    return Login(client_id, secret)


def _named(application: Application) -> str:
    return f"application {application.id} ({printable(application.key)})"


def _described(target: Target, application: Application, client: Client) -> dict[str, object]:
    return {
        "target": target.name,
        "application": application.id,
        "key": application.key,
        "client_id": client.connection.client_id,
        "api": client.connection.api_url,
    }
