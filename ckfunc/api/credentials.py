"""Credentials of a target. They come from the environment, the project's .env files or the system keyring."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ckfunc.api.connection import (
    API_URL,
    AUTHORIZATION_URL,
    Connection,
    checked_address,
    connection_from_environment,
)
from ckfunc.base.errors import CkfuncError, CredentialsMissing
from ckfunc.base.secrets import Secret
from ckfunc.model.application import Application
from ckfunc.model.project import Target

SERVICE = "ckfunc"
ENVIRONMENT_HINT = "set CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET in the environment instead"
TRUSTED_KEYRING = "CKFUNC_KEYRING"
"""The environment variable that names the class of another trusted keyring."""

_ENCRYPTING = (
    "keyring.backends.macOS.Keyring",
    "keyring.backends.Windows.WinVaultKeyring",
    "keyring.backends.SecretService.Keyring",
    "keyring.backends.libsecret.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
)
"""The backends of the package `keyring` that leave encryption to the system."""

_DEEPEST_CHAIN = 8
_ID, _SECRET = "CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET"


class NoKeyring(CkfuncError):
    """There is no keyring that stores secrets safely."""


@dataclass(frozen=True, slots=True)
class ConnectionVariables:
    """The variables that name a target's addresses and credentials; `origins` names the file of each."""

    values: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, str]

    @property
    def source(self) -> str:
        """Where the credentials were found, in words."""
        places = (self.origins.get(name, "the environment") for name in (_ID, _SECRET) if self.values.get(name))
        return " and ".join(dict.fromkeys(places))

    @property
    def addresses(self) -> tuple[str, str]:
        """The addresses of the API and of the authorization server, checked. Raises InvalidAddress."""
        api_url = self.values.get("CHATKITTY_API_URL", "").strip() or API_URL
        authorization_url = self.values.get("CHATKITTY_AUTHORIZATION_URL", "").strip() or AUTHORIZATION_URL
        return (
            checked_address(api_url, "CHATKITTY_API_URL"),
            checked_address(authorization_url, "CHATKITTY_AUTHORIZATION_URL"),
        )


@dataclass(frozen=True, slots=True)
class FoundConnection:
    """A connection, and where its credentials were found."""

    connection: Connection
    source: str


@dataclass(frozen=True, slots=True)
class Login:
    """A client id and secret, as the keyring stores them."""

    client_id: str
    client_secret: Secret

    def connection(self, api_url: str, authorization_url: str) -> Connection:
        """Return the connection of this login at some addresses. Raises InvalidAddress and CredentialsMissing."""
        return Connection(api_url, authorization_url, self.client_id, self.client_secret)


def connection_of(root: Path, target: Target, variables: ConnectionVariables) -> FoundConnection:
    """Return the connection of a target. Raises CredentialsMissing and InvalidAddress.

    Variables win over the keyring, and the keyring is asked only when neither id nor secret is a variable: half of one
    login and half of another are no credentials.
    """
    values = variables.values
    if values.get(_ID, "").strip() or values.get(_SECRET, "").strip():
        return FoundConnection(connection_from_environment(values), variables.source)
    addresses = variables.addresses
    login = _stored(entry_names(root, target, *addresses))
    if login is None:
        raise CredentialsMissing(
            f"no credentials: {_ID} and {_SECRET} are not set, and nobody is logged in to {target.name}",
            hint=f"set both in the environment or in .env, or run `ckfunc login --target {target.name}`",
        )
    return FoundConnection(login.connection(*addresses), "the keyring")


def described(target: Target, application: Application, connection: Connection) -> dict[str, object]:
    """Return which application a target's credentials belong to, as JSON; no secret is in it."""
    return {
        "target": target.name,
        "application": application.id,
        "key": application.key,
        "client_id": connection.client_id,
        "api": connection.api_url,
    }


def entry_names(root: Path, target: Target, api_url: str, authorization_url: str) -> tuple[str, ...]:
    """Return the names of the keyring entries of a target's login.

    A login belongs to an application, whatever the project; a target without an application has a login of its own in
    each project. The addresses are part of the name, so that a changed address never gets another one's secret.
    """
    where = f"{api_url} ({authorization_url})"
    if target.application is not None:
        return (application_entry(target.application, api_url, authorization_url),)
    return (f"target {target.name} of {root} at {where}",)


def application_entry(application: str, api_url: str, authorization_url: str) -> str:
    """Return the name of the keyring entry of an application, given by id or key."""
    return f"application {application.casefold()} at {api_url} ({authorization_url})"


def store_login(names: tuple[str, ...], login: Login) -> str:
    """Store a login under `names` and return the name of the keyring. Raises NoKeyring."""
    backend = _backend()
    stored = {"client_id": login.client_id, "client_secret": login.client_secret.reveal(), "entries": list(names)}
    password = json.dumps(stored)
    for name in names:
        _asked(backend.set_password, SERVICE, name, password)
    return str(backend.name)


def remove_login(names: tuple[str, ...]) -> bool:
    """Remove a login with all its entries, and return whether there was one. Raises NoKeyring."""
    backend = _backend()
    there: dict[str, None] = {}
    for name in names:
        password = _asked(backend.get_password, SERVICE, name)
        if password is not None:
            there |= dict.fromkeys((name, *_entries(password)))
    for name in there:
        if _asked(backend.get_password, SERVICE, name) is not None:
            _asked(backend.delete_password, SERVICE, name)
    return bool(there)


def _entries(password: str) -> list[str]:
    try:
        return [str(one) for one in json.loads(password)["entries"]]
    except (ValueError, KeyError, TypeError):
        return []


def keyring_name() -> str:
    """Return the name of the keyring that a login would be stored in. Raises NoKeyring."""
    return str(_backend().name)


def _stored(names: tuple[str, ...]) -> Login | None:
    """Return the login under the first of `names` that has one; no keyring means no login."""
    try:
        backend = _backend()
        for name in names:
            password = _asked(backend.get_password, SERVICE, name)
            if password is not None:
                found = json.loads(password)
                return Login(str(found["client_id"]), Secret(str(found["client_secret"])))
    except (NoKeyring, ValueError, KeyError, TypeError):
        return None
    return None


def _backend() -> Any:
    """Return the backend that secrets go to: the first one that is known to encrypt them. Raises NoKeyring."""
    try:
        import keyring
        from keyring.backends import fail, null
    except ImportError:
        raise NoKeyring("the package `keyring` is not installed", hint=ENVIRONMENT_HINT) from None
    backend: Any = None
    with contextlib.suppress(Exception):  # backends are plug-ins: one that raises cannot be used, whatever it says
        backend = keyring.get_keyring()
    found = [one for one in _chained(backend) if not isinstance(one, fail.Keyring | null.Keyring)]
    trusted = {*_ENCRYPTING, os.environ.get(TRUSTED_KEYRING, "")}
    for one in found:
        if _type_name(one) in trusted:
            return one
    if not found:
        raise NoKeyring("this system has no keyring that ckfunc can use", hint=ENVIRONMENT_HINT)
    raise NoKeyring(
        f"the keyring {_type_name(found[0])} is not known to encrypt what it stores",
        hint=f"{ENVIRONMENT_HINT}; {TRUSTED_KEYRING}=MODULE.CLASS names a keyring that you trust",
    )


def _chained(backend: Any, depth: int = 0) -> list[Any]:
    """Return the backends that a chain passes secrets on to, however deep, in their order; else the backend itself."""
    if backend is None or depth > _DEEPEST_CHAIN:
        return []
    inner = None
    with contextlib.suppress(Exception):  # looks for backends as it is asked, and these are plug-ins
        inner = getattr(backend, "backends", None)
    if inner is None and not _is_chain(backend):
        return [backend]
    return [one for each in inner or () for one in _chained(each, depth + 1)]


def _is_chain(backend: Any) -> bool:
    return _type_name(backend) == "keyring.backends.chainer.ChainerBackend"


def _type_name(backend: Any) -> str:
    # Not isinstance: a backend that is derived from a safe one may store elsewhere.
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _asked(call: Any, *arguments: str) -> Any:
    """Call the keyring; raises NoKeyring, without the backend's own words: they might quote what it was given."""
    try:
        return call(*arguments)
    except Exception as error:
        raise NoKeyring(f"the keyring refused ({type(error).__name__})", hint=ENVIRONMENT_HINT) from None
