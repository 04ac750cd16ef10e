"""Requests of a chat over HTTP: find the emulator, upload a file."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import httpx

from ckfunc.api.answers import EMULATOR_HEADER, explanation
from ckfunc.api.connection import InvalidAddress, emulator_connection, is_loopback_address
from ckfunc.api.transport import Transport
from ckfunc.base.errors import ApiFailure, CkfuncError, UsageProblem
from ckfunc.base.files import read_file

_MOST_FILE_BYTES = 64 * 1024 * 1024
"""More than the emulator accepts, which refuses a larger file with its own limit."""
_UPLOAD_S = 60.0
_PROBE_TIMEOUT_S = 10.0


class NoEmulator(CkfuncError):
    """No emulator answers at an address."""


def emulator_address(url: str) -> str:
    """Return the address of an emulator that `--url` names. Raises UsageProblem."""
    hint = "for example, --url http://127.0.0.1:4310"
    try:
        address = emulator_connection(url).api_url
    except InvalidAddress:  # it would name an environment variable
        raise UsageProblem("--url is not the address of an emulator on this machine", hint=hint) from None
    if not is_loopback_address(address):
        raise UsageProblem(f"{address} is not on this machine; ckfunc chat only talks to the emulator", hint=hint)
    return address


def require_emulator(url: str) -> None:
    """Raise NoEmulator unless an emulator answers at an address, without waiting for it to start."""
    transport = Transport(_PROBE_TIMEOUT_S)
    try:
        answer = transport.send("GET", f"{url}/emulator/health", {})
        found = answer.ok and EMULATOR_HEADER in answer.headers
    except ApiFailure:
        found = False
    finally:
        transport.close()
    if not found:
        raise NoEmulator(f"no emulator answers at {url}", hint="start it with `ckfunc emulator`, or check the address")


def upload_file(url: str, path: Path, grant: str) -> None:
    """Send a file as a form's field `file`. Raises CkfuncError."""
    try:
        content = read_file(path, limit_bytes=_MOST_FILE_BYTES)
    except OSError as error:
        raise _failed(path, error.strerror or str(error)) from None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    form = httpx.Request("POST", url, files={"file": (path.name, content, kind)})
    headers = {"content-type": form.headers["content-type"], "grant": grant}
    transport = Transport(_UPLOAD_S)
    try:
        answer = transport.send("POST", url, headers, form.read())
    except ApiFailure as error:
        raise _failed(path, error.message) from None
    finally:
        transport.close()
    if not answer.ok:
        raise _failed(path, explanation(answer.body) or f"the emulator answered {answer.status}")


def _failed(path: Path, reason: str) -> CkfuncError:
    return CkfuncError(f"cannot send {path}: {reason}")
