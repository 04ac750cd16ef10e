"""`ckfunc audit`: advisories of the registry, and registries without advisories."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc, written
from support.loopback import Reply
from support.npm_registry import Serve, own_npm, package

from ckfunc.manifest.project import lock_text
from ckfunc.model.application import DEFAULT_PACKAGES, PLATFORM_RANGES
from ckfunc.model.lock import PackageLock

PLATFORM = [package(each.name, each.version.removeprefix("^")) for each in DEFAULT_PACKAGES]
PACKAGES = (
    *PLATFORM,
    package("inner", "1.0.0"),
    package("inner", "1.0.5"),
    package("tiny", "1.0.0", dependencies={"inner": "^1.0.0"}),
)
MANIFEST = "version: 1\nruntime:\n  dependencies:\n    tiny: ^1.0.0\n"


def advisory(name: str, severity: str, affected: str, number: int = 1) -> dict[str, Any]:
    address = f"https://example.com/advisories/{number}"
    return {
        "id": number,
        "url": address,
        "title": f"{name} trusts \x1b[31meverybody",
        "severity": severity,
        "vulnerable_versions": affected,
        "cwe": [],
        "cvss": {"score": 7, "vectorString": None},
    }


INNER = {"inner": [advisory("inner", "high", "<1.0.5")]}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with own_npm(tmp_path, {}) as use:
        yield use


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A project whose lock has a package that requires another one, in its first version."""
    versions = {**{each["name"]: each["version"] for each in PLATFORM}, "inner": "1.0.0", "tiny": "1.0.0"}
    entries: dict[str, Any] = {
        f"node_modules/{name}": {"version": version, "integrity": "sha512-AAAA"} for name, version in versions.items()
    }
    entries["node_modules/tiny"]["dependencies"] = {"inner": "^1.0.0"}
    entries["node_modules/axios"]["dependencies"] = {"qs": "6.9.4"}
    lock = PackageLock.of_entries({**PLATFORM_RANGES, "tiny": "^1.0.0"}, entries)
    return written(tmp_path / "chat", {"functions.yaml": MANIFEST, "functions.lock": lock_text(lock)})


def test_a_vulnerability_is_shown_with_its_fix_and_dependency_path(ckfunc: Ckfunc, chat: Path, serve: Serve) -> None:
    server = serve(*PACKAGES, advisories=Reply(200, INNER))
    ran = ckfunc("-C", chat, "audit")
    assert ran.code == 1, ran.err
    header, row, _, title = ran.out.splitlines()
    assert header.split() == ["PACKAGE", "SEVERITY", "AFFECTED", "FIXED", "IN", "PATH"]
    assert row.split("  ")[0] == "inner 1.0.0"
    assert [cell.strip() for cell in row.split("  ") if cell.strip()][1:] == ["high", "<1.0.5", "1.0.5", "tiny > inner"]
    assert title.startswith("inner: inner trusts ") and title.endswith("  https://example.com/advisories/1")
    assert "\x1b" not in ran.out
    assert ran.err == "1 vulnerability in 6 packages\nnext: ckfunc lock --upgrade inner\n"
    (asked,) = (each for each in server.requests if each.method == "POST")
    assert json.loads(gzip.decompress(asked.body))["inner"] == ["1.0.0"]


@pytest.mark.slow
def test_json_output_has_all_fields_and_respects_the_severity_level(ckfunc: Ckfunc, chat: Path, serve: Serve) -> None:
    serve(*PACKAGES, advisories=Reply(200, {**INNER, "tiny": [advisory("tiny", "low", "*", 2)]}))
    everything = json.loads(ckfunc("-C", chat, "audit", "--json").out)
    assert [each["package"] for each in everything["vulnerabilities"]] == ["inner", "tiny"]
    ran = ckfunc("-C", chat, "audit", "--json", "--level", "high")
    assert ran.code == 1
    (found,) = json.loads(ran.out)["vulnerabilities"]
    assert "trusts" in found.pop("title")
    assert found == {
        "package": "inner",
        "versions": ["1.0.0"],
        "severity": "high",
        "url": "https://example.com/advisories/1",
        "range": "<1.0.5",
        "fixedIn": ["1.0.5"],
        "path": ["tiny", "inner"],
        "platform": False,
    }
    assert ckfunc("-C", chat, "audit", "--level", "critical").code == 0


def test_vulnerabilities_in_platform_packages_are_listed_but_do_not_fail(
    ckfunc: Ckfunc, chat: Path, serve: Serve
) -> None:
    serve(*PACKAGES, advisories=Reply(200, {"qs": [advisory("qs", "critical", "<6.9.7")]}))
    ran = ckfunc("-C", chat, "audit")
    assert ran.code == 0, ran.err
    assert "qs 6.9.4" in ran.out and "qs (platform)" in ran.out
    assert "1 vulnerability in the platform's own packages, which only ChatKitty can update" in ran.err


def test_without_vulnerabilities_the_exit_code_is_0(ckfunc: Ckfunc, chat: Path, serve: Serve) -> None:
    serve(*PACKAGES, advisories=Reply(200, {}))
    ran = ckfunc("-C", chat, "audit")
    assert (ran.code, ran.out, ran.err) == (0, "", "no known vulnerabilities in 6 packages\n")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (None, "the registry has no advisory service (404), so the packages were not audited"),
        (Reply(405), "the registry has no advisory service (405), so the packages were not audited"),
        (Reply(200, b"<html>"), "the registry has no advisory service, so the packages were not audited"),
        (Reply(503), "the registry's advisory service failed (503)"),
        (Reply(401), "the registry refused the audit (401)"),
    ],
)
def test_a_registry_without_advisories_is_explained_in_one_sentence(
    ckfunc: Ckfunc, chat: Path, serve: Serve, reply: Reply | None, said: str
) -> None:
    serve(*PACKAGES, advisories=reply)
    ran = ckfunc("-C", chat, "audit")
    error, hint = ran.err.splitlines()
    assert (ran.code, ran.out, error) == (1, "", f"error: {said}")
    assert hint.startswith("hint: ")


def test_an_unreachable_registry_is_reported(ckfunc: Ckfunc, chat: Path, serve: Serve) -> None:
    serve()
    (chat.parent / "npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    ran = ckfunc("-C", chat, "audit")
    assert ran.code == 1
    assert "error: the packages were not audited: npm could not reach its registry (ECONNREFUSED)\n" in ran.err


@pytest.mark.slow
def test_current_versions_are_audited_without_a_lock_and_an_outdated_lock_is_refused(
    ckfunc: Ckfunc, chat: Path, serve: Serve
) -> None:
    serve(*PACKAGES, advisories=Reply(200, INNER))
    (chat / "functions.yaml").write_text(MANIFEST.replace("^1.0.0", "1.x"))
    outdated = ckfunc("-C", chat, "audit")
    assert outdated.code == 1 and "error: functions.lock is not up to date" in outdated.err
    (chat / "functions.lock").unlink()
    ran = ckfunc("-C", chat, "audit")
    assert ran.code == 0, ran.out
    assert "there is no functions.lock: auditing the versions that npm would install now" in ran.err
    assert not (chat / "functions.lock").exists()
