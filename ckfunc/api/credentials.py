"""Credentials of a target: from the environment, `.env` files or the keyring."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.api.connection import (
    API_URL,
    AUTHORIZATION_URL,
    Connection,
    checked_address,
    connection_from_environment,
)
from ckfunc.base.errors import CkfuncError, CredentialsMissing
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret, revealed
from ckfunc.model.application import Application
from ckfunc.model.project import ANY_PROJECT, Target

if TYPE_CHECKING:
    from ckfunc.model.outputs import ApplicationJson

SERVICE = "ckfunc"
ENVIRONMENT_HINT = "set CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET in the environment instead"
TRUSTED_KEYRING = "CKFUNC_KEYRING"
"""Environment variable with the class of another keyring to trust."""

_ENCRYPTED_BACKENDS = (
    "keyring.backends.macOS.Keyring",
    "keyring.backends.Windows.WinVaultKeyring",
    "keyring.backends.SecretService.Keyring",
    "keyring.backends.libsecret.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
)
"""The backends of the package `keyring` in which the operating system encrypts secrets."""

_DEEPEST_CHAIN = 8
_ID, _SECRET = "CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET"


class NoKeyring(CkfuncError):
    """No keyring that stores secrets safely is available."""


@frozen
class ConnectionVariables:
    """The variables with a target's addresses and credentials; `origins` has the file of each."""

    values: Mapping[str, Secret]
    origins: Mapping[str, str]

    @property
    def source(self) -> str:
        """The places where the credentials were found, as text."""
        places = (self.origins.get(name, "the environment") for name in (_ID, _SECRET) if self.values.get(name))
        return " and ".join(dict.fromkeys(places))

    @property
    def addresses(self) -> tuple[str, str]:
        """The validated addresses of the API and the authorization server. Raises InvalidAddress."""
        api_url = revealed(self.values).get("CHATKITTY_API_URL", "").strip() or API_URL
        authorization_url = revealed(self.values).get("CHATKITTY_AUTHORIZATION_URL", "").strip() or AUTHORIZATION_URL
        return (
            checked_address(api_url, "CHATKITTY_API_URL"),
            checked_address(authorization_url, "CHATKITTY_AUTHORIZATION_URL"),
        )


@frozen
class ResolvedConnection:
    """A connection and the source of its credentials."""

    connection: Connection
    source: str


@frozen
class Login:
    """A client id and secret in the keyring."""

    client_id: str
    client_secret: Secret

    def connection(self, api_url: str, authorization_url: str) -> Connection:
        """Return a connection with this login. Raises InvalidAddress and CredentialsMissing."""
        return Connection(api_url, authorization_url, self.client_id, self.client_secret)


def connection_of(root: Path, target: Target, variables: ConnectionVariables) -> ResolvedConnection:
    """Return the connection of a target. Raises CredentialsMissing and InvalidAddress.

    Variables take precedence over the keyring, which is only used if neither the id nor the secret is a variable, so
    that halves of two logins are never combined.
    """
    values = revealed(variables.values)
    if values.get(_ID, "").strip() or values.get(_SECRET, "").strip():
        return ResolvedConnection(connection_from_environment(values), variables.source)
    addresses = variables.addresses
    login = _stored_login(entry_names(root, target, *addresses))
    if login is None:
        raise CredentialsMissing(
            f"no credentials: {_ID} and {_SECRET} are not set, and you are not logged in to {target.name}",
            hint=f"set both in the environment or in .env, or run `ckfunc login --target {target.name}`",
        )
    return ResolvedConnection(login.connection(*addresses), "the keyring")


def described(target: Target, application: Application, connection: Connection) -> ApplicationJson:
    """Return the application that a target's credentials belong to, as JSON without secrets."""
    return {
        "target": target.name,
        "application": application.id,
        "key": application.key,
        "client_id": connection.client_id,
        "api": connection.api_url,
    }


def entry_names(root: Path, target: Target, api_url: str, authorization_url: str) -> tuple[str, ...]:
    """Return the names of the keyring entries of a target's login.

    A login belongs to an application, in all projects; a target without an application has its own login in each
    project. The addresses are part of the name, so that a secret is never sent to a changed address.
    """
    if target.application is not None:
        return (application_entry(target.application, api_url, authorization_url),)
    return (f"target {target.name} of {root} at {api_url} ({authorization_url})",)


def application_entry(application: str, api_url: str, authorization_url: str) -> str:
    """Return the name of the keyring entry of an application; `application` is its id or key."""
    return f"application {application.casefold()} at {api_url} ({authorization_url})"


def new_entry_names(
    root: Path, target: Target, application: Application, api_url: str, authorization_url: str
) -> tuple[str, ...]:
    """Return the names of the keyring entries of a new login, which belongs to the target or to `application`."""
    if target.application is None and target.name != ANY_PROJECT:
        return entry_names(root, target, api_url, authorization_url)
    return tuple(application_entry(name, api_url, authorization_url) for name in (str(application.id), application.key))


def store_login(names: tuple[str, ...], login: Login) -> str:
    """Store a login under each of `names`; return the name of the keyring. Raises NoKeyring."""
    backend = _backend()
    stored = {"client_id": login.client_id, "client_secret": login.client_secret.reveal(), "entries": list(names)}
    password = json.dumps(stored)
    for name in names:
        _call(backend.set_password, SERVICE, name, password)
    return str(backend.name)


def remove_login(names: tuple[str, ...]) -> bool:
    """Remove a login with all its entries; return whether there was one. Raises NoKeyring."""
    backend = _backend()
    entries: dict[str, None] = {}
    for name in names:
        password = _call(backend.get_password, SERVICE, name)
        if password is not None:
            entries |= dict.fromkeys((name, *_entries(password)))
    for name in entries:
        if _call(backend.get_password, SERVICE, name) is not None:
            _call(backend.delete_password, SERVICE, name)
    return bool(entries)


def _entries(password: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(password)["entries"]]
    except (ValueError, KeyError, TypeError):
        return []


def keyring_name() -> str:
    """Return the name of the keyring for logins. Raises NoKeyring."""
    return str(_backend().name)


def _stored_login(names: tuple[str, ...]) -> Login | None:
    """Return the login of the first of `names` that has one; None also if there is no keyring."""
    try:
        backend = _backend()
        for name in names:
            password = _call(backend.get_password, SERVICE, name)
            if password is not None:
                document = json.loads(password)
                return Login(str(document["client_id"]), Secret(str(document["client_secret"])))
    except (NoKeyring, ValueError, KeyError, TypeError):
        return None
    return None


def _backend() -> Any:
    """Return the first backend of the keyring that is known to encrypt secrets. Raises NoKeyring."""
    try:
        import keyring
        from keyring.backends import fail, null
    except ImportError:
        raise NoKeyring("the package `keyring` is not installed", hint=ENVIRONMENT_HINT) from None
    backend: Any = None
    with contextlib.suppress(Exception):  # backends are plug-ins: one that raises any error cannot be used
        backend = keyring.get_keyring()
    backends = [each for each in _flattened(backend) if not isinstance(each, fail.Keyring | null.Keyring)]
    trusted = {*_ENCRYPTED_BACKENDS, os.environ.get(TRUSTED_KEYRING, "")}
    for candidate in backends:
        if _type_name(candidate) in trusted:
            return candidate
    if not backends:
        raise NoKeyring("this system has no keyring that ckfunc can use", hint=ENVIRONMENT_HINT)
    raise NoKeyring(
        f"the keyring {_type_name(backends[0])} is not known to encrypt what it stores",
        hint=f"{ENVIRONMENT_HINT}; {TRUSTED_KEYRING}=MODULE.CLASS names a keyring that you trust",
    )


def _flattened(backend: Any, depth: int = 0) -> list[Any]:
    """Return the backends in a chain and in nested chains, in their order; or the backend itself if it is no chain."""
    if backend is None or depth > _DEEPEST_CHAIN:
        return []
    inner = None
    with contextlib.suppress(Exception):  # this property loads plug-ins, which may raise any error
        inner = getattr(backend, "backends", None)
    if inner is None and _type_name(backend) != "keyring.backends.chainer.ChainerBackend":
        return [backend]
    return [leaf for each in inner or () for leaf in _flattened(each, depth + 1)]


def _type_name(backend: Any) -> str:
    # Not isinstance, because a subclass of a safe backend may store secrets elsewhere.
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _call(call: Any, *arguments: str) -> Any:
    """Call the keyring. Raises NoKeyring, without the backend's message, which may contain the secret."""
    try:
        return call(*arguments)
    except Exception as error:
        raise NoKeyring(f"the keyring failed ({type(error).__name__})", hint=ENVIRONMENT_HINT) from None
