"""Runs of npm in an environment of its own, and their failures."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import IO, Any

from ckfunc.base.errors import LOG_IN, DependenciesFailed, PackageUnknown, SystemRefusal
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import revealed
from ckfunc.model.lock import LOCK_NAME, PackageLock, manifest_of
from ckfunc.runtime.node import node_executable, npm_script, shim_directory
from ckfunc.runtime.policy import NpmSettings, npm_home, without_login
from ckfunc.runtime.processes import Warden, death, kill_group, start_group

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
)
# npm waits 5 minutes for an answer by default, and 10 and 20 seconds between attempts: too long to report that the
# machine is offline or that a proxy drops packets. As global settings, so that the developer's settings win.
_GLOBAL_NPMRC = "fetch-timeout = 30000\nfetch-retry-mintimeout = 500\nfetch-retry-maxtimeout = 2000\n"
_SILENT_S = 5.0
"""The time without a line of npm's log after which ckfunc reports what npm waits for."""

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
_GLOBAL_NAME = "global-npmrc"
_TIMEOUT = re.compile(r"(?im)^(?:npm_config_)?fetch[-_]timeout = \D*(\d+)")
_ANSWERED = "http fetch"
"""A part of npm's log lines about requests that have ended."""
_SYSTEM_CA = "--use-system-ca"
_RETRIES = re.compile(r"(?im)^(npm_config_)?fetch[-_]retries\b")

NOT_TRUSTED = re.compile(
    r"SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_\w+|CERT_\w+|INVALID_CA|HOSTNAME_MISMATCH"
    r"|ERR_TLS_\w+|ERR_SSL_\w+|EPROTO"
)
"""Node's codes for a TLS connection that cannot be trusted or made. Source: nodejs.org/api/tls.html, X509 errors."""

HOPELESS = re.compile(rf"attempt \d+ failed with ({NOT_TRUSTED.pattern}|EINVALIDPROXY|ERR_INVALID_URL)\b")
"""Log lines of npm for requests that it repeats although no attempt can succeed."""

_NO_VERSION = {"E404", "ETARGET", "ENOVERSIONS"}

EDIT = "check runtime.dependencies in functions.yaml"
_DATED = "`before` or `min-release-age` in .npmrc may hide newer versions"
_WITH_DATE = " with a date before "
NETWORK = "check the network, or the registry in .npmrc; packages that were installed once need no network"
_TRUST = (
    "if a proxy or a company registry has a certificate of its own, set NODE_EXTRA_CA_CERTS to its file, "
    "`cafile` in ~/.npmrc, or NODE_USE_SYSTEM_CA=1"
)
_EXPIRED = "check this machine's clock, and the certificate of the registry or proxy"
_CREDENTIALS = "check the credentials for this registry in .npmrc"
_ROOM = "free up space on that disk, or set CKFUNC_CACHE_DIR to another place"
_DRIFT = re.compile(r"package-lock\.json|lock file", re.IGNORECASE)
_DISK = "check the disk that holds the cache, or set CKFUNC_CACHE_DIR to another place"

_OFFLINE = (
    *("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH"),
    *("ENOTCACHED", "EPIPE"),
)
# Source: minipass-fetch, which has FETCH_ERROR for requests that it repeats only if they exceeded `fetch-timeout`.
_TOO_SLOW = (
    *("FETCH_ERROR", "ERR_SOCKET_TIMEOUT", "ECONNECTIONTIMEOUT", "EIDLETIMEOUT"),
    *("ERESPONSETIMEOUT", "ETRANSFERTIMEOUT"),
)

# The system repeats a query for a name that it cannot resolve by itself.
_LAST_ATTEMPT = (
    rf"attempt (?:\d+ failed with (?=ENOTFOUND|EAI_AGAIN)|3 failed with )({'|'.join((*_OFFLINE, *_TOO_SLOW))})\b"
)
UNREACHABLE = re.compile(rf"{HOPELESS.pattern}|{_LAST_ATTEMPT}")
"""HOPELESS, and the last attempt (npm makes three by default) to reach a registry, or the first to find its address.

npm would go on with the next package: without a network, that takes seconds for each.
"""

_MEMORY, _SIGNAL = "ENOMEM", "ESIGNAL"
"""The second is ckfunc's own code for an npm that was ended by a signal."""
_NO_JSON = "ENOJSON"
"""ckfunc's own code for a page in place of JSON; npm's is FETCH_ERROR, as for exceeded time limits."""

# npm's error code: the sentence, with {summary}, {package}, {place}, {code} and {registries} of npm, and the hint.
_BY_CODE: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(_OFFLINE, ("npm could not reach its registry ({code})", NETWORK)),
    **dict.fromkeys(
        _TOO_SLOW,
        (
            "npm got no answer in time from {registries} ({code})",
            "check the network, the proxy, or the registry in .npmrc; `fetch-timeout` there sets another limit, in ms",
        ),
    ),
    **dict.fromkeys(
        ("EINVALIDPROXY", "ERR_INVALID_URL", "ERR_INVALID_PROTOCOL"),
        (
            "the proxy or registry address that npm uses is not valid ({code})",
            "write it with its scheme, such as http://proxy.example.com:8080, in HTTPS_PROXY, HTTP_PROXY or .npmrc",
        ),
    ),
    **dict.fromkeys(("ENOSPC", "EDQUOT"), ("npm could not store the packages: the disk is full", _ROOM)),
    _MEMORY: ("npm ran out of memory", SystemRefusal.advice(errno.ENOMEM)),
    _SIGNAL: ("npm {summary}", f"if the system ran out of memory, {SystemRefusal.advice(errno.ENOMEM)}"),
    "EMFILE": ("npm could not open another file", SystemRefusal.advice(errno.EMFILE)),
    "ENFILE": ("npm could not open another file", SystemRefusal.advice(errno.ENFILE)),
    "EAGAIN": ("npm could not start another process", SystemRefusal.advice(errno.EAGAIN)),
    **dict.fromkeys(
        ("EACCES", "EPERM", "EROFS"),
        (
            "npm may not write {place} ({code})",
            "check its permissions, or set CKFUNC_CACHE_DIR, or `cache` in ~/.npmrc, to another place",
        ),
    ),
    "E401": ("the npm registry refused access{to_package} (401)", _CREDENTIALS),
    "E403": ("the npm registry refused access{to_package} (403)", _CREDENTIALS),
    "ENEEDAUTH": ("the npm registry refused access{to_package}", _CREDENTIALS),
    "E407": ("the proxy asks for credentials (407)", "check the user name and password in HTTPS_PROXY or .npmrc"),
    "E511": ("the network requires a login (511)", LOG_IN),
    _NO_JSON: ("npm got no JSON from {registries}", f"{LOG_IN}, or check the registry in .npmrc"),
    "EINTEGRITY": (
        "a downloaded package does not match the registry's checksum (EINTEGRITY)",
        "run the command again; if it happens again, the registry or a proxy changes packages",
    ),
    "EBADENGINE": (
        "a package does not support this Node: {summary}",
        "choose another version of it, or remove engine-strict from .npmrc",
    ),
    "EBADPLATFORM": ("a package does not support this system: {summary}", EDIT),
    "EALLOWGIT": (
        "a dependency comes from git, and only packages from a registry are installed: {summary}",
        "choose another version of the package that requires it, or another package",
    ),
    "EUSAGE": ("npm refused its settings: {summary}", "check .npmrc, and npm_config_ variables in the environment"),
    "E429": ("npm install failed: {summary}", "the registry limits requests: try again later"),
    "E404": ("npm found no package {package}", EDIT),
    "ETARGET": ("npm has no version that matches {package}", EDIT),
    "ENOVERSIONS": ("npm has no version of {package}", f"{EDIT}; {_DATED}"),
}

_OUT_OF_MEMORY = "out of memory"
"""A part of the last words of a Node whose heap is full, or to which the system gives no more memory."""

_BROKEN = re.compile(r"E5\d\d")


@frozen
class NpmRun:
    """The result of an npm command: exit code, report in JSON, and log.

    `hopeless` is the error code for which ckfunc ended npm before its last attempt.
    """

    status: int
    output: str
    log: str
    hopeless: str | None = None

    @property
    def died(self) -> bool:
        """Whether a signal ended npm, so that it made no report."""
        return self.status < 0 and not self.hopeless

    @property
    def failure(self) -> Mapping[str, Any] | None:
        """The report of the failure, or only its code if ckfunc ended npm; None after a success."""
        if self.hopeless:
            return {"code": self.hopeless}
        if self.died:
            return {"code": _MEMORY} if _OUT_OF_MEMORY in self.log else {"code": _SIGNAL, "summary": death(self.status)}
        return failure_of(self.output) if self.status else None


def write_packages(directory: Path, dependencies: Mapping[str, str], lock: PackageLock | None) -> None:
    """Write package.json with these dependencies, and package-lock.json if there is a lock."""
    manifest = json.dumps(manifest_of(dependencies), indent=2)
    (directory / "package.json").write_text(manifest, encoding="utf-8")
    if lock is not None:
        (directory / "package-lock.json").write_text(json.dumps(lock.to_npm()), encoding="utf-8")


@frozen
class Supervision:
    """How ckfunc waits for npm: `stop` ends it, and `report` is called when it waits long for a registry.

    INSTALL ends at the first of the `required` packages that cannot be reached.
    """

    report: Callable[[str], object]
    stop: threading.Event = field(default_factory=threading.Event)
    required: Collection[str] = ()


@frozen
class _Patience:
    """When to end npm, or to report `notice`: it has logged nothing for some seconds.

    It ends at the first line of its log that matches `give_up`, whose group is an error code, and after `limit_s`
    without a line, if no registry has answered before.
    """

    give_up: re.Pattern[str]
    notice: str = ""
    limit_s: float = math.inf


def unreachable(required: Iterable[str]) -> re.Pattern[str]:
    """Return HOPELESS, and the last attempt to download one of these packages.

    Other packages may be optional, and may be in another registry: without them, an installation can succeed.
    """
    names = "|".join(re.escape(name.replace("/", "%2f")) for name in required)
    return re.compile(rf"{HOPELESS.pattern}|/(?:{names})(?:/-/\S+)? {_LAST_ATTEMPT}")


def run_npm(
    command: Sequence[str], directory: Path, cache: Path, settings: NpmSettings, supervision: Supervision
) -> NpmRun:
    """Run a command such as INSTALL in `directory`, without running scripts of packages."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-npm-") as place:
        home = Path(place)
        _write_private(home / ".npmrc", settings.npmrc.reveal())
        _write_private(home / _GLOBAL_NAME, _GLOBAL_NPMRC)
        environment = {
            **_environment(home, cache),
            **_matching(_PROXIES),
            "npm_config_cache": str(_downloads(cache)),
            **revealed(settings.variables),
        }
        give_up = UNREACHABLE if _LOCK_ONLY in command else unreachable(supervision.required)
        if any(map(_RETRIES.search, (settings.npmrc.reveal(), *settings.variables))):
            give_up = HOPELESS
        patience = _Patience(give_up, f"npm is waiting for {settings.registries}", _limit_s(settings))
        return _run(command, directory, environment, home, supervision, patience)


def _limit_s(settings: NpmSettings) -> float:
    """Return the time limit for the first answer of a registry: that of all of npm's attempts, and some seconds more.

    npm has none for a proxy that accepts a connection and never answers.
    """
    variables = (f"{name} = {value}" for name, value in revealed(settings.variables).items())
    text = "\n".join((_GLOBAL_NPMRC, settings.npmrc.reveal(), *variables))
    timeouts_ms = [int(digits) for digits in _TIMEOUT.findall(text)]
    return 3 * timeouts_ms[-1] / 1000 + 2 * _SILENT_S if timeouts_ms[-1] else math.inf


def run_scripts(directory: Path, cache: Path, packages: Sequence[str], stop: threading.Event) -> NpmRun:
    """Run the install scripts of these packages (NAME or NAME@VERSION), in an environment without secrets."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-npm-") as place:
        home = Path(place)
        _write_private(home / ".npmrc", "")
        environment = {
            **_environment(home, cache),
            **{name: without_login(value) for name, value in _matching(_PROXIES).items()},
            **_matching(_COMPILERS),
        }
        supervision = Supervision(lambda _: None, stop)
        return _run((*_SCRIPTS, *packages), directory, environment, home, supervision, _Patience(HOPELESS))


def failure_of(output: str) -> dict[str, Any]:
    """Return npm's report of a failure in its output: code, summary, detail."""
    start = output.find("{")
    try:
        failure = json.loads(output[start:])["error"] if start >= 0 else None
    except (ValueError, KeyError, TypeError):
        failure = None
    return failure if isinstance(failure, dict) else {"code": None, "summary": output.strip()[-500:]}


def explained(failure: Mapping[str, Any], settings: NpmSettings) -> DependenciesFailed:
    """Return the error for a failure of `npm install` with these settings."""
    code = str(failure.get("code") or "")
    summary, detail = str(failure.get("summary") or ""), str(failure.get("detail") or "")
    sentence, hint = _sentence_and_hint(code, summary, detail, settings.registries)
    if settings.unset and code in {"E401", "E403", "E404"}:
        sentence, hint = f"{sentence}; {settings.unset[0]}", f"set it in the environment; {hint}"
    kind = PackageUnknown if code in _NO_VERSION and not settings.unset else DependenciesFailed
    return kind(sentence, hint=hint)


def not_unpacked(output: str) -> DependenciesFailed:
    """Return the error for packages that npm could not unpack completely."""
    text = " ".join(output.split())
    full = "ENOSPC" in output or "EDQUOT" in output
    return DependenciesFailed(f"npm could not unpack the packages: {text}", hint=_ROOM if full else _DISK)


def _run(
    arguments: Sequence[str],
    directory: Path,
    environment: dict[str, str],
    home: Path,
    supervision: Supervision,
    patience: _Patience,
) -> NpmRun:
    command = [str(node_executable()), str(npm_script()), *arguments]
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
        try:
            hopeless = _wait(process, log, supervision, patience)
        finally:
            kill_group(process)
            warden.release(process.pid)
            process.wait()
        return NpmRun(process.returncode, _text(output), _text(log), hopeless)


def _wait(
    process: subprocess.Popen[bytes], log: IO[bytes], supervision: Supervision, patience: _Patience
) -> str | None:
    """Wait until npm has ended or is stopped; return the error code for which it must be ended before, or None."""
    read, size, silent_from, notice = 0, 0, time.monotonic(), patience.notice
    # A poll, so that Ctrl-C is noticed on every system.
    while process.poll() is None and not supervision.stop.wait(0.02):
        written = os.fstat(log.fileno()).st_size
        if written != size:
            size, silent_from = written, time.monotonic()
        elif notice and time.monotonic() - silent_from > _SILENT_S:
            supervision.report(notice)
            notice = ""
        elif time.monotonic() - silent_from > patience.limit_s and _ANSWERED not in _tail(log, 0):
            return "ERESPONSETIMEOUT"
        if written > read and (failed := patience.give_up.search(_tail(log, read))) is not None:
            return str(failed[failed.lastindex or 0])
        read = max(read, written - 200)
    return None


def _tail(file: IO[bytes], start: int) -> str:
    # Read at an offset, without moving the file position: npm writes through the same open file.
    if sys.platform == "win32":
        return ""
    else:  # noqa: RET505 - for mypy, which checks each system's own branch
        return os.pread(file.fileno(), 1024 * 1024, start).decode("utf-8", "replace")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _matching(names: re.Pattern[str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if names.match(name)}


def _environment(home: Path, cache: Path) -> dict[str, str]:
    """Return the variables of the developer's environment that npm needs; none is a secret."""
    variables = _matching(_SYSTEM) | _matching(_CERTIFICATES)
    variables["PATH"] = os.pathsep.join([str(shim_directory(cache)), os.environ.get("PATH", os.defpath)])
    if _SYSTEM_CA in os.environ.get("NODE_OPTIONS", "").split():
        variables["NODE_OPTIONS"] = _SYSTEM_CA
    variables |= dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), str(home))
    variables["npm_config_userconfig"] = str(home / ".npmrc")
    variables["npm_config_globalconfig"] = str(home / _GLOBAL_NAME)
    variables["npm_config_cache"] = str(home / "cache")
    return variables


def _downloads(cache: Path) -> Path:
    """Return npm's download cache: the developer's own, or one in the cache directory."""
    home = npm_home(os.environ)
    if home is None or home == Path(home.anchor) or not os.access(home, os.W_OK):
        return cache.resolve() / "npm"
    windows = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "npm-cache"
    return windows if sys.platform == "win32" else home / ".npm"


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def _sentence_and_hint(code: str, summary: str, detail: str, registries: str) -> tuple[str, str | None]:
    short = " ".join(_without_addresses(summary).split())
    package = _package_of(f"{summary} {detail}")
    if (tls := NOT_TRUSTED.fullmatch(code) or (not code and NOT_TRUSTED.search(summary))) is not None and tls:
        dated = "EXPIRED" in tls[0] or "NOT_YET_VALID" in tls[0]
        return f"npm does not trust the registry's certificate ({tls[0]})", _EXPIRED if dated else _TRUST
    if code == "ERESOLVE":
        peer = re.search(r"peer \S+ from \S+", detail)
        return f"npm cannot install these packages together: {peer[0] if peer else short or code}", EDIT
    if code == "EUSAGE" and _DRIFT.search(f"{summary} {detail}"):
        return f"{LOCK_NAME} does not have the versions that its packages require", "run `ckfunc lock --upgrade`"
    code = "ERR_INVALID_URL" if "Invalid URL" in summary else _NO_JSON if "invalid json" in summary else code
    entry = _BY_CODE.get(code)
    if entry is None or (code in _NO_VERSION and not package):
        later = "the registry has a problem: try again later"
        return f"npm install failed: {short or code or 'no reason given'}", later if _BROKEN.match(code) else EDIT
    place = re.search(r"'([^']+)'", summary)
    sentence = entry[0].format(
        code=code,
        summary=short or code,
        package=package,
        to_package=f" to {package}" if package else "",
        place=place[1] if place else "to its cache",
        registries=registries,
    )
    if code == "E404" and package.startswith("@"):
        scope = package.partition("/")[0]
        return sentence, f"{entry[1]}; a private package needs `{scope}:registry` and credentials in .npmrc"
    return sentence, f"{entry[1]}; {_DATED}" if code == "ETARGET" and _WITH_DATE in summary else entry[1]


def _package_of(text: str) -> str:
    match = (
        re.search(rf"No matching version found for (.+?)(?:\.(?:\s|$)|{_WITH_DATE}|$)", text)
        or re.search(r"No versions available for (\S+)", text)
        or re.search(r"'((?:@[^/'\s]+/)?[^@'\s]+@[^'\s]*)'", text)
    )
    if match is None and (path := re.search(r"https?://[^/\s]+/(?:\S*/)?(@[^/\s]+(?:%2f|/)[^/\s?]+)", text, re.I)):
        return re.sub("%2f", "/", path[1], flags=re.I)
    return match[1] if match else ""


def _without_addresses(text: str) -> str:
    return re.sub(r"https?://\S+", "the registry", text)
