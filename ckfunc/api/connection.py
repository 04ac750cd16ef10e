"""Addresses and credentials of the Platform API.

Every address is validated before secrets are sent to it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from ckfunc.base.errors import ApiFailure, CredentialsMissing, Unreachable
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret

API_URL = "https://api.chatkitty.com"
AUTHORIZATION_URL = "https://authorization.chatkitty.com/oauth/token"
EMULATOR_CREDENTIAL = "emulator"
"""The documented client id and secret of every emulator."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\s]")


class InvalidAddress(ApiFailure):
    """A text that is not an address, or an address to which credentials must not be sent."""


class NotSent(Unreachable):
    """No connection was established, so the request was not sent."""


class CannotConnect(NotSent):
    """No connection was established, and a retry cannot succeed."""


@frozen
class Connection:
    """An application's addresses and credentials. The constructor raises InvalidAddress or CredentialsMissing.

    Surrounding white space is removed, and trailing slashes of addresses.
    """

    api_url: str
    authorization_url: str
    client_id: str
    client_secret: Secret

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_url", checked_address(self.api_url, "CHATKITTY_API_URL"))
        object.__setattr__(
            self, "authorization_url", checked_address(self.authorization_url, "CHATKITTY_AUTHORIZATION_URL")
        )
        object.__setattr__(self, "client_id", self.client_id.strip())
        object.__setattr__(self, "client_secret", Secret(self.client_secret.reveal().strip()))
        _check_credentials(self.client_id, self.client_secret)


def emulator_connection(url: str) -> Connection:
    """Return the connection to the emulator at an address. Raises InvalidAddress."""
    return Connection(url, f"{url.rstrip('/')}/oauth/token", EMULATOR_CREDENTIAL, Secret(EMULATOR_CREDENTIAL))


def connection_from_environment(environ: Mapping[str, str]) -> Connection:
    """Read CHATKITTY_CLIENT_ID, _CLIENT_SECRET, _API_URL and _AUTHORIZATION_URL; an empty variable counts as unset.

    Raises CredentialsMissing or InvalidAddress.
    """
    return Connection(
        api_url=environ.get("CHATKITTY_API_URL", "").strip() or API_URL,
        authorization_url=environ.get("CHATKITTY_AUTHORIZATION_URL", "").strip() or AUTHORIZATION_URL,
        client_id=environ.get("CHATKITTY_CLIENT_ID", ""),
        client_secret=Secret(environ.get("CHATKITTY_CLIENT_SECRET", "")),
    )


def checked_address(text: str, name: str) -> str:
    """Validate an address and return it without trailing slashes; `name` is its variable, for errors.

    https is allowed to any host, http only to loopback addresses; credentials, query and fragment are not allowed. The
    version at the end of the API's address is removed, because paths contain it. Raises InvalidAddress, which does not
    quote an address that may contain a password.
    """
    text = text.strip()
    parts = _split(text, name)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InvalidAddress(
            f"{name} contains a user name or password",
            hint="remove it from the address; credentials go into CHATKITTY_CLIENT_ID and CHATKITTY_CLIENT_SECRET",
        )
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise InvalidAddress(f"{name} has a query or a fragment", hint="remove what follows its path")
    if parts.scheme not in ("http", "https"):
        raise InvalidAddress(f"{name} is not an http or https address", hint=f"such as {API_URL}")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidAddress(
            f"{name} would send credentials unencrypted to {parts.hostname}",
            hint="use https; plain http is for loopback addresses such as http://127.0.0.1:4310",
        )
    text = text.rstrip("/")
    return text.removesuffix("/v1").rstrip("/") if name == "CHATKITTY_API_URL" else text


def is_loopback(host: str) -> bool:
    """Return whether `host` is literally localhost, an address in 127.0.0.0/8, or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_address(url: str) -> bool:
    """Return whether a validated address is on this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def place(url: str) -> str:
    """Return host and port of an address, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _split(text: str, name: str) -> SplitResult:
    hint = f"such as {AUTHORIZATION_URL if name == 'CHATKITTY_AUTHORIZATION_URL' else API_URL}"
    if _FORBIDDEN.search(text):
        raise InvalidAddress(f"{name} contains a space, a backslash or a control character", hint=hint)
    try:
        parts = urlsplit(text)
        port = parts.port if "://" in text else None
    except ValueError:
        raise InvalidAddress(f"{name} is not an address", hint=hint) from None
    if "://" not in text and "@" not in text:
        raise InvalidAddress(f"{name} does not start with https://", hint=hint)
    if not parts.hostname or port == 0:
        raise InvalidAddress(f"{name} is not an address with a host", hint=hint)
    return parts


def _check_credentials(client_id: str, client_secret: Secret) -> None:
    missing = [
        name
        for name, value in (("CHATKITTY_CLIENT_ID", client_id), ("CHATKITTY_CLIENT_SECRET", client_secret))
        if not value
    ]
    if missing:
        raise CredentialsMissing(
            f"no credentials: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            hint="set both in the environment or in .env; the ChatKitty dashboard shows them for each application",
        )
    # RFC 7617: the user id must not contain a colon, and neither part may contain control characters.
    if ":" in client_id or not client_id.isprintable() or not client_secret.reveal().isprintable():
        raise CredentialsMissing(
            "the client id or secret contains characters that are not allowed",
            hint="copy both again from the ChatKitty dashboard, each on one line",
        )
