"""Messages and hints for failures of npm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ckfunc.base.errors import DependenciesFailed, PackageUnknown
from ckfunc.model.lock import LOCK_NAME

NOT_TRUSTED = re.compile(
    r"SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_\w+|CERT_\w+|INVALID_CA|HOSTNAME_MISMATCH"
    r"|ERR_TLS_\w+|ERR_SSL_\w+|EPROTO"
)
"""Node's codes for a TLS connection that cannot be trusted or made. Source: nodejs.org/api/tls.html, X509 errors."""

HOPELESS = re.compile(rf"attempt \d+ failed with ({NOT_TRUSTED.pattern}|EINVALIDPROXY|ERR_INVALID_URL)\b")
"""Log lines of npm for requests that it repeats although no attempt can succeed."""

_NO_VERSION = {"E404", "ETARGET", "ENOVERSIONS"}

_EDIT = "check runtime.dependencies in functions.yaml"
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
    *("ENOTCACHED", "ERR_SOCKET_TIMEOUT", "FETCH_ERROR", "ECONNECTIONTIMEOUT", "EIDLETIMEOUT"),
    *("ERESPONSETIMEOUT", "ETRANSFERTIMEOUT", "EPIPE"),
)

UNREACHABLE = re.compile(rf"{HOPELESS.pattern}|attempt 3 failed with ({'|'.join(_OFFLINE)})\b")
"""HOPELESS, and the last attempt (npm makes three by default) to reach a registry.

npm would go on with the next package: without a network, that takes seconds for each.
"""

# npm's error code: the sentence, with {summary}, {package}, {place} and {code} of npm, and the hint.
_BY_CODE: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_OFFLINE, ("npm could not reach its registry ({code})", NETWORK)),
    **dict.fromkeys(
        ("EINVALIDPROXY", "ERR_INVALID_URL", "ERR_INVALID_PROTOCOL"),
        (
            "the proxy or registry address that npm uses is not valid ({code})",
            "write it with its scheme, such as http://proxy.example.com:8080, in HTTPS_PROXY, HTTP_PROXY or .npmrc",
        ),
    ),
    **dict.fromkeys(("ENOSPC", "EDQUOT"), ("npm could not store the packages: the disk is full", _ROOM)),
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
    "EINTEGRITY": (
        "a downloaded package does not match the registry's checksum (EINTEGRITY)",
        "run the command again; if it happens again, the registry or a proxy changes packages",
    ),
    "EBADENGINE": (
        "a package does not support this Node: {summary}",
        "choose another version of it, or remove engine-strict from .npmrc",
    ),
    "EBADPLATFORM": ("a package does not support this system: {summary}", _EDIT),
    "EALLOWGIT": (
        "a dependency comes from git, and only packages from a registry are installed: {summary}",
        "choose another version of the package that requires it, or another package",
    ),
    "EUSAGE": ("npm refused its settings: {summary}", "check .npmrc, and npm_config_ variables in the environment"),
    "E429": ("npm install failed: {summary}", "the registry limits requests: try again later"),
    "E404": ("npm found no package {package}", _EDIT),
    "ETARGET": ("npm has no version that matches {package}", _EDIT),
    "ENOVERSIONS": ("npm has no version that matches {package}", _EDIT),
}


def failure_of(output: str) -> dict[str, Any]:
    """Return npm's report of a failure in its output: code, summary, detail."""
    start = output.find("{")
    try:
        failure = json.loads(output[start:])["error"] if start >= 0 else None
    except (ValueError, KeyError, TypeError):
        failure = None
    return failure if isinstance(failure, dict) else {"code": None, "summary": output.strip()[-500:]}


def explained(failure: Mapping[str, Any], unset: Sequence[str] = ()) -> DependenciesFailed:
    """Return the error for a failure of `npm install`. `unset` are notes about credentials that were left out."""
    code = str(failure.get("code") or "")
    summary, detail = str(failure.get("summary") or ""), str(failure.get("detail") or "")
    sentence, hint = _sentence_and_hint(code, summary, detail)
    if unset and code in {"E401", "E403", "E404"}:
        sentence, hint = f"{sentence}; {unset[0]}", f"set it in the environment; {hint}"
    kind = PackageUnknown if code in _NO_VERSION and not unset else DependenciesFailed
    return kind(sentence, hint=hint)


def not_unpacked(said: str) -> DependenciesFailed:
    """Return the error for packages that npm could not unpack completely."""
    text = " ".join(said.split())
    full = "ENOSPC" in said or "EDQUOT" in said
    return DependenciesFailed(f"npm could not unpack the packages: {text}", hint=_ROOM if full else _DISK)


def _sentence_and_hint(code: str, summary: str, detail: str) -> tuple[str, str]:
    short = " ".join(_without_addresses(summary).split())
    package = _package_of(f"{summary} {detail}")
    if (tls := NOT_TRUSTED.fullmatch(code) or (not code and NOT_TRUSTED.search(summary))) is not None and tls:
        dated = "EXPIRED" in tls[0] or "NOT_YET_VALID" in tls[0]
        return f"npm does not trust the registry's certificate ({tls[0]})", _EXPIRED if dated else _TRUST
    if code == "ERESOLVE":
        wish = re.search(r"peer \S+ from \S+", detail)
        return f"npm cannot install these packages together: {wish[0] if wish else short or code}", _EDIT
    if code == "EUSAGE" and _DRIFT.search(f"{summary} {detail}"):
        return f"{LOCK_NAME} does not have the versions that its packages require", "run `ckfunc lock --upgrade`"
    code = "ERR_INVALID_URL" if "Invalid URL" in summary else code
    known = _BY_CODE.get(code)
    if known is None or (code in _NO_VERSION and not package):
        later = "the registry has a problem: try again later"
        return f"npm install failed: {short or code or 'no reason given'}", later if _BROKEN.match(code) else _EDIT
    place = re.search(r"'([^']+)'", summary)
    sentence = known[0].format(
        code=code,
        summary=short or code,
        package=package,
        to_package=f" to {package}" if package else "",
        place=place[1] if place else "to its cache",
    )
    if code == "E404" and package.startswith("@"):
        scope = package.partition("/")[0]
        return sentence, f"{known[1]}; a private package needs `{scope}:registry` and credentials in .npmrc"
    return sentence, known[1]


_BROKEN = re.compile(r"E5\d\d")


def _package_of(text: str) -> str:
    found = re.search(r"No matching version found for (.+?)(?:\.(?:\s|$)|$)", text) or re.search(
        r"'((?:@[^/'\s]+/)?[^@'\s]+@[^'\s]*)'", text
    )
    if found is None and (path := re.search(r"https?://[^/\s]+/(?:\S*/)?(@[^/\s]+(?:%2f|/)[^/\s?]+)", text, re.I)):
        return re.sub("%2f", "/", path[1], flags=re.I)
    return found[1] if found else ""


def _without_addresses(text: str) -> str:
    return re.sub(r"https?://\S+", "the registry", text)
