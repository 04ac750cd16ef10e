"""`ckfunc login`: save a target's credentials in the system keyring."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import CkfuncError, CredentialsMissing, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.text import printable
from ckfunc.cli.app import ANY_PROJECT, App
from ckfunc.cli.options import common_options, pass_app
from ckfunc.deploy.plan.snapshot import require_application

if TYPE_CHECKING:
    from ckfunc.api.credentials import Login
    from ckfunc.model.outputs import LoginJson


class NoTerminal(UsageProblem):
    """A secret must be typed, and there is no terminal."""


@click.command(
    epilog="""\b
Examples:
  ckfunc login --target production
  ckfunc login                                    outside of a project
  pass chatkitty | ckfunc login --client-id ID --secret-stdin"""
)
@click.option("--client-id", metavar="ID", help="The client id (default: ask for it).")
@click.option("--secret-stdin", is_flag=True, help="Read the client secret from standard input.")
@common_options
@pass_app
def login(app: App, client_id: str | None, secret_stdin: bool) -> None:
    """Ask for the client id and secret of the target, test them, and save them in the system keyring.

    They are never written to a file. Environment variables and .env files take precedence. A login for a target with
    an application in functions.yaml is valid in every project.
    """
    # Not at the top of the module: `ckfunc login --help` must not load the API client.
    from ckfunc.api.credentials import application_entry, described, entry_names, keyring_name, store_login

    root, target = app.place()
    if target.emulator:
        raise CkfuncError(
            f"target {target.name!r} is the emulator, which needs no login",
            hint="choose another one with --target NAME",
        )
    addresses = app.variables(root, target).addresses
    keyring_name()  # before anything is typed: without a keyring it would be in vain
    typed = _typed(app, client_id, from_stdin=secret_stdin)
    client = app.connect(typed.connection(*addresses))
    application, want = client.application(), target.application
    require_application(target, str(application.id) if want is None or want.isdecimal() else application.key)
    both = tuple(application_entry(name, *addresses) for name in (str(application.id), application.key))
    bound = want is not None or target.name == ANY_PROJECT
    keyring = store_login(both if bound else entry_names(root, target, *addresses), typed)
    if app.output.json:
        document: LoginJson = {**described(target, application, client.connection), "keyring": keyring}
        app.output.document(document)
    else:
        named = f"application {application.id} ({printable(application.key)})"
        app.output.talk(("logged in", "success"), f" to {named} for {target.name}, saved in {keyring}")
    if app.environ.get("CHATKITTY_CLIENT_ID") or app.environ.get("CHATKITTY_CLIENT_SECRET"):
        app.output.warn("CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET override the keyring")


def _typed(app: App, client_id: str | None, *, from_stdin: bool) -> Login:
    """Return the credentials from standard input or the terminal. Raises NoTerminal and CredentialsMissing."""
    from ckfunc.api.credentials import ENVIRONMENT_HINT, Login

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
