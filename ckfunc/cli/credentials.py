"""Where a target's credentials come from: the environment, the project's .env files, or else the system's keyring."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import CkfuncError, CredentialsMissing
from ckfunc.model.project import Target

if TYPE_CHECKING:
    from ckfunc.api import Connection

SERVICE = "ckfunc"
ENVIRONMENT_HINT = "set CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET in the environment instead"
TRUSTED_KEYRING = "CKFUNC_KEYRING"
"""Names the class of a further keyring that may have secrets."""

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
    """There is no keyring that keeps secrets safe."""


@dataclass(frozen=True, slots=True)
class Found:
    """A connection, and where its credentials were found."""

    connection: Connection
    source: str


@dataclass(frozen=True, slots=True)
class Login:
    """A client id and secret, as the keyring keeps them."""

    client_id: str
    client_secret: str = field(repr=False)


def connection_of(root: Path, target: Target, environ: Mapping[str, str]) -> Found:
    """Return how to reach a target. Raises CredentialsMissing, InvalidAddress, InvalidFiles.

    Variables win over the keyring, and the keyring is asked only when neither id nor secret is a variable: half of one
    login and half of another are no credentials.
    """
    from ckfunc.api import Connection, connection_from_environment

    variables, source = _variables(root, target.name, environ)
    if variables.get(_ID, "").strip() or variables.get(_SECRET, "").strip():
        return Found(connection_from_environment(variables), source)
    addresses = _addresses(variables)
    login = _kept(entry_names(root, target, *addresses))
    if login is None:
        raise CredentialsMissing(
            f"no credentials: {_ID} and {_SECRET} are not set, and nobody is logged in to {target.name}",
            hint=f"set both in the environment or in .env, or run `ckfunc login --target {target.name}`",
        )
    return Found(Connection(*addresses, login.client_id, login.client_secret), "the keyring")


def addresses_of(root: Path, target: Target, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the addresses of the API and of the authorization server, checked. Raises InvalidAddress."""
    return _addresses(_variables(root, target.name, environ)[0])


def entry_names(root: Path, target: Target, api_url: str, authorization_url: str) -> tuple[str, ...]:
    """Return under which name the keyring has the login of a target.

    The application is what counts, whatever project asks; a target that is bound to none has a login of its own in
    each project. The addresses are part of the name, so that a changed one is never sent another's secret.
    """
    where = f"{api_url} ({authorization_url})"
    if target.application is not None:
        return (application_entry(target.application, api_url, authorization_url),)
    return (f"target {target.name} of {root} at {where}",)


def application_entry(application: str, api_url: str, authorization_url: str) -> str:
    """Return under which name the keyring has the login of an application, given by id or key."""
    return f"application {application.casefold()} at {api_url} ({authorization_url})"


def keep_login(names: tuple[str, ...], login: Login) -> str:
    """Keep a login under `names` and return what the keyring is called. Raises NoKeyring."""
    backend = _backend()
    kept = {"client_id": login.client_id, "client_secret": login.client_secret, "entries": list(names)}
    password = json.dumps(kept)
    for name in names:
        _asked(backend.set_password, SERVICE, name, password)
    return str(backend.name)


def forget_login(names: tuple[str, ...]) -> bool:
    """Remove a login, under whatever names it is kept, and tell whether there was one. Raises NoKeyring."""
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
    """Return what the keyring is called that a login would go into. Raises NoKeyring."""
    return str(_backend().name)


def _kept(names: tuple[str, ...]) -> Login | None:
    """Return the login under the first of `names` that has one; no keyring means no login."""
    try:
        backend = _backend()
        for name in names:
            password = _asked(backend.get_password, SERVICE, name)
            if password is not None:
                found = json.loads(password)
                return Login(str(found["client_id"]), str(found["client_secret"]))
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


def _variables(root: Path, target: str, environ: Mapping[str, str]) -> tuple[dict[str, str], str]:
    from ckfunc.manifest import connection_variables

    origins: dict[str, str] = {}
    found = connection_variables(root, target, environ, origins)
    places = dict.fromkeys(origins.get(name, "the environment") for name in (_ID, _SECRET) if found.get(name))
    return found, " and ".join(places)


def _addresses(variables: Mapping[str, str]) -> tuple[str, str]:
    from ckfunc.api.connection import API_URL, AUTHORIZATION_URL, checked_address

    return (
        checked_address(variables.get("CHATKITTY_API_URL", "").strip() or API_URL, "CHATKITTY_API_URL"),
        checked_address(
            variables.get("CHATKITTY_AUTHORIZATION_URL", "").strip() or AUTHORIZATION_URL, "CHATKITTY_AUTHORIZATION_URL"
        ),
    )
