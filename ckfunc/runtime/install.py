"""Which npm packages handlers can use: installed once for each list of dependencies, then only looked up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from platform import machine
from typing import IO, Any

from ckfunc.base.digests import digest
from ckfunc.base.errors import DependenciesFailed, PackageUnknown
from ckfunc.base.files import locked
from ckfunc.runtime.node import node_executable, node_version, npm_script, shim_directory
from ckfunc.runtime.processes import kill_group, start_group
from ckfunc.runtime.warden import Warden

_FORMAT = 1
_MARKER = ".ckfunc-installed"
_PACKAGE_JSON = "package.json"
_OPTIONS = (
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--no-package-lock",
    "--no-save",
    "--omit=dev",
    "--no-global",
    "--location=project",
    "--loglevel=warn",  # an entry that could not be unpacked is a warning to npm
    "--json",
    # npm waits 10 and 20 seconds between attempts by default: too long to find out that one is offline
    "--fetch-retry-mintimeout=500",
    "--fetch-retry-maxtimeout=2000",
)

# What npm and the packages' build scripts need of the developer's environment. Registries, mirrors and their tokens
# come from the user's own npm configuration: ~/.npmrc, npm_config_* and whatever variables that file names.
_KEPT = re.compile(
    r"(?i)^(PATH|PATHEXT|HOME|USER|USERNAME|LOGNAME|SHELL|LANG|LC_\w+|TMP|TEMP|TMPDIR|npm_config_.+|NPM_TOKEN|NODE_AUTH_TOKEN"
    r"|(HTTPS?|NO|ALL)_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|SSH_AUTH_SOCK|GIT_SSL_CAINFO|GIT_SSH_COMMAND|XDG_\w+"
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAM(FILES|DATA)(\(X86\))?|PROCESSOR_\w+)$"
)
_NOT_UNPACKED = re.compile(r"TAR_ENTRY_ERROR (.+)")
_REFERENCE = re.compile(r"\$\{([^}?]+)\??\}")


def runtime_directory(dependencies: Mapping[str, str], cache: Path) -> Path:
    """Return where these dependencies are, or would be, installed. Raises NodeMissing."""
    major = node_version(node_executable()).partition(".")[0]
    identity = [_FORMAT, major, sys.platform, machine(), sorted(dependencies.items())]
    return cache.resolve() / "runtimes" / digest(json.dumps(identity))[:32]


def is_installed(directory: Path) -> bool:
    """Return whether a runtime directory is complete."""
    return (directory / _MARKER).is_file()


def install(
    dependencies: Mapping[str, str],
    cache: Path,
    on_progress: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Return a directory whose node_modules holds `dependencies` (npm name to version range); installs if need be.

    Safe to call from several threads and processes at once; setting `stop` ends npm. Raises DependenciesFailed and
    NodeMissing.
    """
    directory = runtime_directory(dependencies, cache)
    if is_installed(directory):
        return directory
    tell = on_progress or (lambda _: None)
    with locked(directory.with_name(f"{directory.name}.lock")):
        if is_installed(directory):
            return directory
        for leftover in directory.parent.glob(f"{directory.name}.new-*"):  # of an install that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        started = time.monotonic()
        beside = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f"{directory.name}.new-"))
        try:
            package = {
                "private": True,
                "name": "handlers",
                "version": "1.0.0",
                "dependencies": dict(sorted(dependencies.items())),
            }
            (beside / _PACKAGE_JSON).write_text(json.dumps(package, indent=2), encoding="utf-8")
            if dependencies:
                tell(f"installing {_count(dependencies)} with npm")
                _run_npm(beside, cache, stop or threading.Event())
                tell(f"installed {_count(dependencies)} in {time.monotonic() - started:.1f} s")
            (beside / _MARKER).touch()
            shutil.rmtree(directory, ignore_errors=True)
            beside.rename(directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return directory


def _count(dependencies: Mapping[str, str]) -> str:
    return f"{len(dependencies)} package{'' if len(dependencies) == 1 else 's'}"


def _run_npm(directory: Path, cache: Path, stop: threading.Event) -> None:
    status, output, warnings = _npm(directory, cache, stop, ())
    if status and _failure(output).get("code") == "ETARGET":  # what npm remembers of the registry may be out of date
        status, output, warnings = _npm(directory, cache, stop, ("--prefer-online",))
    if stop.is_set():
        raise DependenciesFailed("the installation of the packages was ended")
    if status:
        raise _explained(_failure(output))
    # When the disk is full npm ends well all the same, with files cut short: such packages would stay broken for good.
    if unpacked_not := _NOT_UNPACKED.search(warnings):
        raise DependenciesFailed(
            f"npm could not unpack the packages: {' '.join(unpacked_not[1].split())}",
            hint="make room on the disk that holds the cache, or set CKFUNC_CACHE_DIR to another place",
        )


def _npm(directory: Path, cache: Path, stop: threading.Event, more: tuple[str, ...]) -> tuple[int, str, str]:
    """Return npm's exit code, its account in JSON, and its warnings."""
    command = [str(node_executable()), str(npm_script()), "install", *_OPTIONS, *more]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as warnings, Warden() as warden:
        process = start_group(
            command,
            cwd=directory,
            env=_environment(os.environ, cache),
            stdin=subprocess.DEVNULL,
            stdout=output.fileno(),
            stderr=warnings.fileno(),
        )
        warden.watch(process.pid)
        try:
            while process.poll() is None and not stop.wait(0.02):  # a poll, so that Ctrl-C is noticed on every system
                pass
        finally:
            kill_group(process)
            warden.release(process.pid)
            process.wait()
        return process.returncode, _text(output), _text(warnings)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _environment(environ: Mapping[str, str], cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if _KEPT.match(name)}
    for name in _named_in_npmrc(environ):
        if name in environ:
            kept[name] = environ[name]
    kept["PATH"] = os.pathsep.join([str(shim_directory(cache)), environ.get("PATH", os.defpath)])
    return kept


def _named_in_npmrc(environ: Mapping[str, str]) -> set[str]:
    given = environ.get("npm_config_userconfig") or environ.get("NPM_CONFIG_USERCONFIG")
    file = Path(given) if given else Path(environ.get("HOME") or environ.get("USERPROFILE") or os.sep) / ".npmrc"
    try:
        return set(_REFERENCE.findall(file.read_text("utf-8", "replace")))
    except OSError:
        return set()


def _failure(output: str) -> dict[str, Any]:
    """Return npm's own account of a failure: code, summary, detail."""
    start = output.find("{")
    try:
        found = json.loads(output[start:])["error"] if start >= 0 else None
    except (ValueError, KeyError):
        found = None
    return found if isinstance(found, dict) else {"code": None, "summary": output.strip()[-500:]}


_OFFLINE = {
    "ENOTFOUND",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "EAI_AGAIN",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ENOTCACHED",
    "ERR_SOCKET_TIMEOUT",
    "FETCH_ERROR",
}


_EDIT = "check runtime.dependencies in functions.yaml"
_NETWORK = "check the network, or the registry in your ~/.npmrc; packages that were installed once need no network"


def _explained(failure: Mapping[str, Any]) -> DependenciesFailed:
    code = str(failure.get("code") or "")
    summary = " ".join(_without_addresses(str(failure.get("summary") or "")).split())
    package = _package_of(f"{failure.get('summary', '')} {failure.get('detail', '')}")
    sentence, hint = f"npm install failed: {summary or code or 'no reason given'}", _EDIT
    if code == "E404" and package:
        sentence = f"npm knows no package {package}"
    elif code == "ETARGET" and package:
        sentence = f"npm has no version that matches {package}"
    elif code == "ERESOLVE":
        wish = re.search(r"peer \S+ from \S+", str(failure.get("detail") or ""))
        sentence = f"npm cannot make these packages fit together: {wish[0] if wish else summary or code}"
    elif code in _OFFLINE:
        sentence, hint = f"npm could not reach its registry ({code})", _NETWORK
    elif code in {"E401", "E403"}:
        sentence, hint = f"the npm registry refused access ({code[1:]})", "check the credentials in your ~/.npmrc"
    kind = PackageUnknown if code in {"E404", "ETARGET"} else DependenciesFailed
    return kind(sentence, hint=hint)


def _package_of(text: str) -> str:
    found = re.search(r"No matching version found for (\S+?)\.?(?:\s|$)", text) or re.search(
        r"'((?:@[^/'\s]+/)?[^@'\s]+@[^'\s]*)'", text
    )
    return found[1] if found else ""


def _without_addresses(text: str) -> str:
    return re.sub(r"https?://\S+", "the registry", text)
