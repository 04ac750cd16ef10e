"""Locks of npm packages: resolved by npm, and audited for security advisories."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import CkfuncError, DependenciesFailed
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, counted, printable, table
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.lock import LOCK_NAME, InvalidLock, PackageLock
from ckfunc.runtime.npm import (
    AUDIT,
    NOT_TRUSTED,
    RESOLVE,
    UPGRADE,
    NpmRun,
    Supervision,
    explained,
    run_npm,
    write_packages,
)
from ckfunc.runtime.policy import InstallPolicy, NpmSettings, npm_settings

if TYPE_CHECKING:
    from ckfunc.model.outputs import AuditJson, VulnerabilityJson

SEVERITIES = ("info", "low", "moderate", "high", "critical")
"""The severities of advisories, in ascending order."""
HEADINGS = ("PACKAGE", "SEVERITY", "AFFECTED", "FIXED IN", "PATH")
_STYLES = {"critical": "failure", "high": "failure", "moderate": "update"}

_CODE = re.compile(rf"\b(?:{NOT_TRUSTED.pattern}|E[A-Z_]{{3,}})\b")
_BELOW = re.compile(r"<(?!=)\s*v?([\w.+-]+)")


def resolve(
    dependencies: Mapping[str, str],
    cache: Path,
    policy: InstallPolicy,
    lock: PackageLock | None = None,
    upgrade: Collection[str] = (),
    report: Callable[[str], object] = lambda _: None,
) -> PackageLock:
    """Return a lock of these packages (name to version range), which npm resolves. Nothing is installed.

    Versions of `lock` stay if they fit the ranges, except those of the packages in `upgrade`. Packages for every system
    are included, so that the result does not depend on this one. `report` receives what npm waits for. Raises
    DependenciesFailed and NodeMissing.
    """
    settings = npm_settings(policy.project)
    with tempfile.TemporaryDirectory(prefix="ckfunc-lock-") as place:
        directory = Path(place)
        write_packages(directory, dependencies, lock)
        if lock is None or not upgrade or lock.dependencies != dependencies:
            _require_success(run_npm(RESOLVE, directory, cache, settings, Supervision(report)), settings)
        if upgrade:
            command = (*UPGRADE, *sorted(upgrade))
            _require_success(run_npm(command, directory, cache, settings, Supervision(report)), settings)
        packages = json.loads((directory / "package-lock.json").read_bytes())["packages"]
    try:
        return PackageLock.of_entries(dict(dependencies), {path: entry for path, entry in packages.items() if path})
    except InvalidLock as error:
        hint = f"{LOCK_NAME} only has packages from a registry: choose another version of the package, or another one"
        raise DependenciesFailed(f"the lock {error}", hint=hint) from None


class AuditFailed(CkfuncError):
    """The registry's advisory service gave no answer."""


@frozen
class Vulnerability:
    """An advisory that concerns a locked package.

    `fixed_in` are the first versions that are not affected, one for each affected range that has an end. `upgrade` says
    whether a version that fits all ranges is not affected. `chain` are the packages that lead to it, from the direct
    dependency on. `by_platform` says that only packages of the platform need it, so that the project cannot change it.
    """

    package: str
    versions: tuple[str, ...]
    severity: str
    title: str
    url: str
    range: str
    fixed_in: tuple[str, ...]
    upgrade: bool
    chain: tuple[str, ...]
    by_platform: bool

    def to_json(self) -> VulnerabilityJson:
        """Return the vulnerability for `--json`."""
        return {
            "package": self.package,
            "versions": list(self.versions),
            "severity": self.severity,
            "title": self.title,
            "url": self.url,
            "range": self.range,
            "fixedIn": list(self.fixed_in),
            "path": list(self.chain),
            "platform": self.by_platform,
        }

    def cells(self) -> Line:
        """Return a row of a table with HEADINGS."""
        fixed = ", ".join(self.fixed_in) or ("a newer version" if self.upgrade else "-")
        path = " > ".join(self.chain) + (" (platform)" if self.by_platform else "")
        return [
            (printable(f"{self.package} {', '.join(self.versions)}"), ""),
            (self.severity, _STYLES.get(self.severity, "")),
            (printable(self.range) or "-", ""),
            (printable(fixed), ""),
            (printable(path), "muted"),
        ]

    def title_line(self) -> Line:
        """Return the title of the advisory with its address."""
        return [
            (f"{printable(self.package)}: ", "title"),
            (printable(self.title), ""),
            (f"  {printable(self.url)}", "muted"),
        ]


@frozen
class Audit:
    """The known vulnerabilities in a number of packages."""

    packages: int
    vulnerabilities: tuple[Vulnerability, ...]

    def at_least(self, level: str) -> Audit:
        """Return only the vulnerabilities of a severity or higher."""
        shown = SEVERITIES[SEVERITIES.index(level) :]
        return replace(self, vulnerabilities=tuple(each for each in self.vulnerabilities if each.severity in shown))

    @property
    def own(self) -> tuple[Vulnerability, ...]:
        """The vulnerabilities in packages that the project can change."""
        return tuple(each for each in self.vulnerabilities if not each.by_platform)

    def to_json(self) -> AuditJson:
        """Return the vulnerabilities for `--json`."""
        return {
            "packages": self.packages,
            "vulnerabilities": [each.to_json() for each in self.vulnerabilities],
            "ok": not self.own,
        }

    def lines(self) -> Iterator[Line]:
        """Yield a table of the vulnerabilities, and their titles."""
        yield from table(HEADINGS, [each.cells() for each in self.vulnerabilities])
        yield ()
        yield from (each.title_line() for each in self.vulnerabilities)

    def summary_lines(self) -> Iterator[Line]:
        """Yield the number of vulnerabilities, and the command that upgrades packages."""
        own, count = self.own, counted(self.packages, "package")
        platform = len(self.vulnerabilities) - len(own)
        if own:
            yield [(_number(len(own)), "failure"), (f" in {count}", "")]
        else:
            where = "the packages that the project can change" if platform else count
            yield [("no known vulnerabilities", "success"), (f" in {where}", "")]
        if platform:
            yield [(f"{_number(platform)} in the platform's own packages, which only ChatKitty can update", "")]
        if names := sorted({each.package for each in own if each.upgrade}):
            yield [("next: ", "title"), (f"ckfunc lock --upgrade {' '.join(map(printable, names))}", "")]


def _number(vulnerabilities: int) -> str:
    return f"{vulnerabilities} vulnerabilit{'y' if vulnerabilities == 1 else 'ies'}"


def audit(
    lock: PackageLock, cache: Path, policy: InstallPolicy, report: Callable[[str], object]
) -> tuple[Vulnerability, ...]:
    """Return the known vulnerabilities of the locked packages, most severe first.

    Sends names and versions to the registry. Raises AuditFailed, NpmrcProblem and NodeMissing.
    """
    settings = npm_settings(policy.project)
    with tempfile.TemporaryDirectory(prefix="ckfunc-audit-") as place:
        directory = Path(place)
        write_packages(directory, lock.dependencies, lock)
        ran = run_npm(AUDIT, directory, cache, settings, Supervision(report))
    vulnerabilities = _vulnerabilities(_report(ran, settings), lock)
    return tuple(sorted(vulnerabilities, key=lambda each: (-SEVERITIES.index(each.severity), each.package, each.url)))


def _require_success(ran: NpmRun, settings: NpmSettings) -> None:
    if (failure := ran.failure) is not None:
        raise explained(failure, settings)


def _report(ran: NpmRun, settings: NpmSettings) -> Mapping[str, Any]:
    """Return npm's report on vulnerable packages, by name. Raises AuditFailed."""
    try:
        document = json.loads(ran.output[ran.output.index("{") :])
        report = document.get("vulnerabilities")
    except (ValueError, AttributeError):
        document, report = {}, None
    if isinstance(report, dict) and not ran.hopeless:
        return report
    status, message = document.get("statusCode"), str(document.get("message") or ran.log)
    if isinstance(status, int):
        if status in (401, 403):
            raise AuditFailed(f"the registry refused the audit ({status})", hint="check its credentials in .npmrc")
        if status >= 500 or status == 429:
            raise AuditFailed(f"the registry's advisory service failed ({status})", hint="try again later")
        raise _without_service(f" ({status})")
    code = ran.hopeless or ((named := _CODE.search(message)) and named[0])
    if not code and not ran.died:
        raise _without_service("")
    problem = explained((ran.failure if ran.died else None) or {"code": code}, settings)
    raise AuditFailed(f"the packages were not audited: {problem.message}", hint=problem.hint)


def _without_service(status: str) -> AuditFailed:
    return AuditFailed(
        f"the registry has no advisory service{status}, so the packages were not audited",
        hint="use npm's own registry in .npmrc, or one that serves npm's advisories",
    )


def _vulnerabilities(report: Mapping[str, Any], lock: PackageLock) -> Iterator[Vulnerability]:
    own = lock.chains(lock.dependencies.keys() - PLATFORM_RANGES.keys())
    every = lock.chains(lock.dependencies.keys())
    for name, entry in report.items():
        places = [place for place in entry.get("nodes", ()) if place in lock.packages]
        chains = [own[place] for place in places if place in own] or [
            every[place] for place in places if place in every
        ]
        for advisory in entry.get("via", ()):
            if not isinstance(advisory, dict):  # the name of a vulnerable dependency, which has an entry of its own
                continue
            affected, fix = str(advisory.get("range") or ""), entry.get("fixAvailable")
            fixed = _BELOW.findall(affected)
            if not fixed and isinstance(fix, dict) and fix.get("name") == name:
                fixed = [str(fix.get("version"))]
            severity = str(advisory.get("severity"))
            yield Vulnerability(
                package=name,
                versions=tuple(sorted({str(lock.packages[place]["version"]) for place in places})),
                severity=severity if severity in SEVERITIES else SEVERITIES[0],
                title=str(advisory.get("title") or ""),
                url=str(advisory.get("url") or ""),
                range=affected,
                fixed_in=tuple(dict.fromkeys(fixed)),
                upgrade=fix is True,
                chain=min(chains, key=len, default=(name,)),
                by_platform=not any(place in own for place in places),
            )
