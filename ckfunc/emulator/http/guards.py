"""Which requests are refused for where they come from: pages of other sites, and names that pretend to be local."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from ckfunc.emulator.http.problems import Denied


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address, without a port, is this machine's own loopback."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _names_loopback(authority: str) -> bool:
    host, colon, port = authority.rpartition(":")
    return is_loopback(host if colon and port.isdecimal() else authority)


def check_host(authority: str) -> None:
    """Refuse a Host header that is not loopback: a web page whose own name was made to resolve here. Raises Denied."""
    if not _names_loopback(authority):
        raise Denied(
            f"the emulator answers on this machine alone, not as {authority[:80]!r}; use 127.0.0.1 or localhost"
        )


def check_origin(origin: str | None, scheme: str, host: str) -> None:
    """Refuse what a page of another site sent through a browser. Raises Denied."""
    if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
        raise Denied(f"a page of {origin[:80]!r} may not use the emulator's controls")
