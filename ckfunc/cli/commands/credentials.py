"""`ckfunc login`, `logout` and `whoami`: a target's credentials, in the system keyring."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ckfunc.api.credentials import (
    ENVIRONMENT_HINT,
    Login,
    ResolvedConnection,
    described,
    entry_names,
    keyring_name,
    new_entry_names,
    remove_login,
    store_login,
)
from ckfunc.base.errors import CkfuncError, CredentialsMissing, NoProject, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.options import command, flag, option
from ckfunc.deploy.plan.snapshot import require_login
from ckfunc.model.project import ANY_PROJECT, Target

if TYPE_CHECKING:
    from ckfunc.model.outputs import IdentityJson, LoginJson, LogoutJson


class NoTerminal(UsageProblem):
    """A secret must be typed, and there is no terminal."""


@command
@option("--client-id", "ID", "The client id (default: ask for it).")
@flag("--secret-stdin", "Read the client secret from standard input.")
def login(app: App, client_id: str | None, secret_stdin: bool) -> None:
    """Ask for the client id and secret of the target, test them, and save them in the system keyring.

    They are never written to a file. Environment variables and .env files take precedence. A login for a target with
    an application in functions.yaml is valid in every project.
    """
    root, target = app.place()
    _require_platform(target)
    addresses = app.variables(root, target).addresses
    keyring_name()  # before anything is typed: without a keyring it would be in vain
    typed = _typed(app, client_id, from_stdin=secret_stdin)
    client = app.connect(typed.connection(*addresses))
    application = client.application()
    require_login(target, application)
    keyring = store_login(new_entry_names(root, target, application, *addresses), typed)
    document: LoginJson = {**described(target, application, client.connection), "keyring": keyring}
    named = f"application {application.id} ({printable(application.key)})"
    app.output.result(document, (), [("logged in", "success"), f" to {named} for {target.name}, saved in {keyring}"])
    if app.environ.get("CHATKITTY_CLIENT_ID") or app.environ.get("CHATKITTY_CLIENT_SECRET"):
        app.output.warn("CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET override the keyring")


def _require_platform(target: Target) -> None:
    if target.emulator:
        hint = "choose another one with --target NAME"
        raise CkfuncError(f"target {target.name!r} is the emulator, which needs no login", hint=hint)


def _typed(app: App, client_id: str | None, *, from_stdin: bool) -> Login:
    """Return the credentials from standard input or the terminal. Raises NoTerminal and CredentialsMissing."""
    if from_stdin:
        if client_id is None:
            raise UsageProblem("--secret-stdin needs --client-id", hint="pass both")
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
        raise CredentialsMissing("the client secret is empty", hint="the ChatKitty dashboard shows the client secret")
    return Login(client_id, Secret(secret))


@command
@option("--application", "ID", "Log out of this application (id or key) instead of a target's.")
def logout(app: App, application: str | None) -> None:
    """Remove the credentials of the target from the system keyring."""
    root, target = app.place()
    if application is not None:
        target = Target(f"application {application}", application=application)
    elif target.name == ANY_PROJECT:
        raise NoProject("outside of a project, logout needs an application", hint="pass --application ID")
    _require_platform(target)
    removed = remove_login(entry_names(root, target, *app.variables(root, target).addresses))
    document: LogoutJson = {"target": target.name, "removed": removed}
    verdict = "logged out" if removed else "nobody was logged in"
    app.output.result(document, (), [(verdict, "muted"), f": {target.name}"])


@command
def whoami(app: App) -> None:
    """Show which application the target's credentials belong to, and where the credentials come from."""
    root, target = app.place()
    if target.emulator:
        credentials = ResolvedConnection(app.emulator_connection(), "the emulator's own")
    else:
        credentials = app.credentials(root, target)
    application = app.connect(credentials.connection).application()
    shown: IdentityJson = {**described(target, application, credentials.connection), "credentials": credentials.source}
    width = max(map(len, shown))
    names = {name: (f"{name.replace('_', ' '):<{width}}  ", "muted") for name in shown}
    app.output.result(shown, [(names[name], printable(str(value))) for name, value in shown.items()])
