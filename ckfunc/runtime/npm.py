"""Run npm in an environment and a home directory of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ckfunc.base.secrets import revealed
from ckfunc.runtime.node import node_executable, npm_script, shim_directory
from ckfunc.runtime.npm_failures import HOPELESS, UNREACHABLE
from ckfunc.runtime.policy import NpmSettings, npm_home
from ckfunc.runtime.processes import kill_group, start_group
from ckfunc.runtime.warden import Warden

_COMMON = (
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--no-global",
    "--location=project",
    "--logs-max=0",
    "--json",
)
_PACKAGES = (
    *_COMMON,
    "--ignore-scripts",
    "--omit=dev",
    "--include=optional",
    "--include=peer",
    "--install-strategy=hoisted",
    "--bin-links",
    "--allow-git=none",  # npm prepares such a package by running its scripts; older versions ignore the option
    # npm logs an entry that could not be unpacked as a warning, and a repeated request as `http`.
    "--loglevel=http",
    # npm waits 10 and 20 seconds between attempts by default: too long to report that the machine is offline
    "--fetch-retry-mintimeout=500",
    "--fetch-retry-maxtimeout=2000",
)
INSTALL = ("install", "--no-package-lock", "--no-save", "--prefer-offline", *_PACKAGES)
"""Install the packages of package.json."""
INSTALL_LOCKED = ("ci", "--prefer-offline", *_PACKAGES)
"""Install exactly the packages of package-lock.json."""
_LOCK_ONLY = "--package-lock-only"
RESOLVE = ("install", _LOCK_ONLY, "--prefer-online", *_PACKAGES)
"""Write package-lock.json; versions that are in it stay if they fit package.json."""
UPGRADE = ("update", _LOCK_ONLY, "--prefer-online", *_PACKAGES)
"""Write package-lock.json with the newest versions of some packages, which are further arguments."""
AUDIT = ("audit", _LOCK_ONLY, *_PACKAGES)
"""Report the known vulnerabilities of the packages in package-lock.json."""
_SCRIPTS = ("rebuild", *_COMMON, "--ignore-scripts=false", "--foreground-scripts=false", "--loglevel=error")

_SYSTEM = re.compile(
    r"(?i)^(PATH|PATHEXT|LANG|LC_\w+|TMP|TEMP|TMPDIR|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC"
    r"|PROGRAM(FILES|DATA)(\(X86\))?|PROCESSOR_\w+|NUMBER_OF_PROCESSORS)$"
)
_CERTIFICATES = re.compile(r"^(NODE_EXTRA_CA_CERTS|NODE_USE_SYSTEM_CA|SSL_CERT_(FILE|DIR))$")
_PROXIES = re.compile(r"(?i)^((HTTPS?|NO|ALL)_PROXY)$")
_COMPILERS = re.compile(r"^(PYTHON|CC|CXX|AR|LD|MAKE)$")
_SYSTEM_CA = "--use-system-ca"
_RETRIES = "fetch-retries"


@dataclass(frozen=True, slots=True)
class NpmRun:
    """The result of an npm command: exit code, report in JSON, and log.

    `hopeless` is the error code for which ckfunc ended npm before its last attempt.
    """

    status: int
    output: str
    log: str
    hopeless: str | None = None


def run_npm(
    command: Sequence[str], directory: Path, cache: Path, settings: NpmSettings, stop: threading.Event
) -> NpmRun:
    """Run a command such as INSTALL in `directory`, without running scripts of packages."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-npm-") as place:
        home = Path(place)
        _write_private(home / ".npmrc", settings.npmrc.reveal())
        environment = {
            **_environment(os.environ, home, cache),
            **{name: value for name, value in os.environ.items() if _PROXIES.match(name)},
            "npm_config_cache": str(_downloads(os.environ, cache)),
            **revealed(settings.variables),
        }
        # An installation can succeed without an optional package whose registry cannot be reached.
        every_attempt = _LOCK_ONLY not in command or _RETRIES in settings.npmrc.reveal()
        return _run(command, directory, environment, home, stop, HOPELESS if every_attempt else UNREACHABLE)


def run_scripts(directory: Path, cache: Path, packages: Sequence[str], stop: threading.Event) -> NpmRun:
    """Run the install scripts of these packages (NAME or NAME@VERSION), in an environment without secrets."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-npm-") as place:
        home = Path(place)
        _write_private(home / ".npmrc", "")
        environment = {
            **_environment(os.environ, home, cache),
            **{name: _without_login(value) for name, value in os.environ.items() if _PROXIES.match(name)},
            **{name: value for name, value in os.environ.items() if _COMPILERS.match(name)},
        }
        return _run((*_SCRIPTS, *packages), directory, environment, home, stop)


def _run(
    arguments: Sequence[str],
    directory: Path,
    environment: dict[str, str],
    home: Path,
    stop: threading.Event,
    give_up: re.Pattern[str] = HOPELESS,
) -> NpmRun:
    """Run npm; end it at the first line of its log that matches `give_up`, whose group is an error code."""
    command = [str(node_executable()), str(npm_script()), *arguments]
    hopeless: str | None = None
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log, Warden() as warden:
        warden.directory = home  # it may hold credentials, so it is removed even when ckfunc is killed
        process = start_group(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output.fileno(),
            stderr=log.fileno(),
        )
        warden.watch(process.pid)
        read = 0
        try:
            while process.poll() is None and not stop.wait(0.02):  # a poll, so that Ctrl-C is noticed on every system
                written = os.fstat(log.fileno()).st_size
                if written > read and (failed := give_up.search(_tail(log, read))) is not None:
                    hopeless = failed[failed.lastindex or 0]
                    break
                read = max(read, written - 200)
        finally:
            kill_group(process)
            warden.release(process.pid)
            process.wait()
        return NpmRun(process.returncode, _text(output), _text(log), hopeless)


def _tail(file: IO[bytes], start: int) -> str:
    # Read at an offset, without moving the file position: npm writes through the same open file.
    if sys.platform == "win32":
        return ""
    else:  # noqa: RET505 - for mypy, which checks each system's own branch
        return os.pread(file.fileno(), 1024 * 1024, start).decode("utf-8", "replace")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _environment(environ: Mapping[str, str], home: Path, cache: Path) -> dict[str, str]:
    """Return the variables of the developer's environment that npm needs; none is a secret."""
    kept = {name: value for name, value in environ.items() if _SYSTEM.match(name) or _CERTIFICATES.match(name)}
    kept["PATH"] = os.pathsep.join([str(shim_directory(cache)), environ.get("PATH", os.defpath)])
    if _SYSTEM_CA in environ.get("NODE_OPTIONS", "").split():
        kept["NODE_OPTIONS"] = _SYSTEM_CA
    kept |= dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), str(home))
    kept["npm_config_userconfig"] = str(home / ".npmrc")
    kept["npm_config_globalconfig"] = str(home / "global-npmrc")
    kept["npm_config_cache"] = str(home / "cache")
    return kept


def _downloads(environ: Mapping[str, str], cache: Path) -> Path:
    """Return npm's download cache: the developer's own, or one in the cache directory."""
    home = npm_home(environ)
    if home is None or home == Path(home.anchor) or not os.access(home, os.W_OK):
        return cache.resolve() / "npm"
    windows = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "npm-cache"
    return windows if sys.platform == "win32" else home / ".npm"


def _without_login(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
