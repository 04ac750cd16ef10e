"""Messages and hints for failures of npm."""

from __future__ import annotations

import pytest

from ckfunc.base.errors import DependenciesFailed, PackageUnknown
from ckfunc.runtime.locks import AuditFailed, _report
from ckfunc.runtime.npm import HOPELESS, UNREACHABLE, NpmRun, explained, failure_of, not_unpacked, unreachable
from ckfunc.runtime.policy import NpmSettings


@pytest.mark.parametrize(
    ("code", "summary", "sentence", "hint"),
    [
        (
            "SELF_SIGNED_CERT_IN_CHAIN",
            "request to https://r/x failed",
            "does not trust the registry's",
            "NODE_EXTRA_CA",
        ),
        ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "", "does not trust the registry's", "cafile"),
        ("ERR_TLS_CERT_ALTNAME_INVALID", "", "does not trust the registry's", "NODE_USE_SYSTEM_CA=1"),
        ("CERT_HAS_EXPIRED", "", "(CERT_HAS_EXPIRED)", "clock"),
        ("ERR_INVALID_URL", "Invalid URL", "proxy or registry address", "scheme"),
        (None, "Invalid URL", "proxy or registry address", "HTTPS_PROXY"),
        ("E407", "407 Proxy Authentication Required", "proxy asks for credentials", "password"),
        ("ENOSPC", "ENOSPC: no space left on device, write", "the disk is full", "CKFUNC_CACHE_DIR"),
        ("EDQUOT", "EDQUOT: disk quota exceeded, write", "the disk is full", "free up space"),
        ("EACCES", "EACCES: permission denied, mkdir '/home/x/.npm'", "may not write /home/x/.npm", "permissions"),
        ("EROFS", "EROFS: read-only file system, open '/c/x'", "may not write /c/x", "CKFUNC_CACHE_DIR"),
        ("EINTEGRITY", "sha512-a integrity checksum failed", "does not match the registry", "again"),
        ("EBADENGINE", "Unsupported engine", "does not support this Node", "engine-strict"),
        ("EBADPLATFORM", "Unsupported platform for x", "does not support this system", "runtime.dependencies"),
        ("EALLOWGIT", "Refusing to fetch x", "comes from git", "another version"),
        ("EUSAGE", "Invalid option", "refused its settings", ".npmrc"),
        ("E401", "401 Unauthorized - GET https://r/@acme%2fx", "refused access to @acme/x (401)", "credentials"),
        ("E403", "403 Forbidden - GET https://r/x", "refused access (403)", "credentials"),
        ("E404", "'@acme/x@1' is not in this registry.", "no package @acme/x@1", "@acme:registry"),
        ("E404", "'plain@1' is not in this registry.", "no package plain@1", "runtime.dependencies"),
        ("ETARGET", "No matching version found for x@9.", "no version that matches x@9", "runtime.dependencies"),
        ("ETARGET", "No matching version found for x@>=9 <1.2.", "matches x@>=9 <1.2", "runtime.dependencies"),
        ("ETARGET", "No matching version found for x@9 with a date before 1/1/2001, 1:00:00 AM.", "x@9", "`before`"),
        ("ENOVERSIONS", "No versions available for x", "npm has no version of x", "`before`"),
        ("E503", "503 Service Unavailable", "503 Service Unavailable", "try again later"),
        ("E511", "511 Network Authentication Required - GET https://r/x", "requires a login (511)", "browser"),
        ("FETCH_ERROR", "invalid json response body at https://r/x reason: '<'", "no JSON from", "with a browser"),
        ("FETCH_ERROR", "network timeout at: https://r/x", "no answer in time from", "fetch-timeout"),
        ("EAI_AGAIN", "getaddrinfo", "could not reach its registry (EAI_AGAIN)", "network"),
        ("EWHATEVER", "something new", "npm install failed: something new", "runtime.dependencies"),
    ],
)
def test_each_npm_failure_has_a_message_and_a_hint(code, summary, sentence, hint):
    problem = explained({"code": code, "summary": summary}, NpmSettings())
    assert sentence in problem.message
    assert hint in problem.hint
    assert "https://" not in problem.message
    assert "\n" not in problem.message


def test_an_unset_token_is_reported_for_a_private_package_that_is_not_found():
    failure = {"code": "E404", "summary": "'@acme/x@1' is not in this registry."}
    problem = explained(failure, NpmSettings(unset=("line 2 of .npmrc uses ${NPM_TOKEN}, which is not set",)))
    assert "line 2 of .npmrc uses ${NPM_TOKEN}, which is not set" in problem.message
    assert not isinstance(problem, PackageUnknown)
    assert isinstance(explained(failure, NpmSettings()), PackageUnknown)


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "npm ran out of memory"),
        ("# Fatal process out of memory: SegmentedTable::InitializeTable", "npm ran out of memory"),
        ("npm http fetch GET 200 https://r/x", "npm was ended by SIGKILL"),
    ],
)
def test_an_npm_that_was_ended_is_reported_with_the_cause(log, sentence):
    ran = NpmRun(-9, "", log)
    assert ran.died
    problem = explained(ran.failure, NpmSettings())
    assert problem.message == sentence
    assert "raise the memory limit" in problem.hint
    with pytest.raises(AuditFailed, match=f"the packages were not audited: {sentence}"):
        _report(ran, NpmSettings())


def test_npm_output_that_is_not_json_is_shown():
    assert explained(failure_of("npm exploded"), NpmSettings()).message == "npm install failed: npm exploded"
    assert explained(failure_of('{"error": [1]}'), NpmSettings()).message.startswith("npm install failed")


def test_a_full_disk_while_unpacking_has_a_hint_to_free_up_space():
    full, other = not_unpacked("ENOSPC: no space left\n on device"), not_unpacked("ENAMETOOLONG: name too long")
    assert isinstance(full, DependenciesFailed)
    assert "free up space" in full.hint
    assert "free up space" not in other.hint


@pytest.mark.parametrize(
    ("line", "hopeless"),
    [
        ("npm http fetch GET https://r/x attempt 1 failed with DEPTH_ZERO_SELF_SIGNED_CERT", True),
        ("npm http fetch GET https://r/x attempt 1 failed with ERR_INVALID_URL", True),
        ("npm http fetch GET https://r/x attempt 1 failed with ECONNRESET", False),
        ("npm http fetch GET 200 https://r/CERT_x 12ms", False),
    ],
)
def test_a_request_that_cannot_succeed_is_not_retried(line, hopeless):
    assert bool(HOPELESS.search(line)) is hopeless
    assert bool(UNREACHABLE.search(line)) is hopeless


def test_an_installation_ends_at_the_last_attempt_to_read_a_required_package():
    give_up = unreachable(["tiny", "@scope/x"])
    line = "npm http fetch GET https://r/npm/{} attempt {} failed with ECONNREFUSED"
    for name, attempt, ends in (
        ("tiny", 2, False),
        ("tiny/-/tiny-1.2.3.tgz", 3, True),
        ("tiny", 3, True),
        ("@scope%2fx", 3, True),
        ("optional", 3, False),
        ("x", 3, False),
    ):
        assert bool(give_up.search(line.format(name, attempt))) is ends
    assert give_up.search("fetch GET https://r/optional attempt 1 failed with ERR_INVALID_URL")
    assert unreachable([]).search(line.format("tiny", 3)) is None


@pytest.mark.parametrize("code", ["ENOTFOUND", "EAI_AGAIN"])
def test_a_name_that_cannot_be_resolved_is_not_tried_again(code):
    give_up = unreachable(["tiny"])
    for path, ends in (("tiny", True), ("tiny/-/tiny-1.2.3.tgz", True), ("optional", False)):
        line = f"npm http fetch GET https://r/{path} attempt 1 failed with {code}"
        matched = give_up.search(line)
        assert bool(matched) is ends
        assert matched is None or matched[matched.lastindex] == code
    assert UNREACHABLE.search(f"npm http fetch GET https://r/any attempt 1 failed with {code}")


def test_a_registry_is_unreachable_only_after_the_last_attempt():
    line = "npm http fetch GET https://r/x attempt {} failed with ECONNREFUSED"
    assert [bool(UNREACHABLE.search(line.format(attempt))) for attempt in (1, 2, 3)] == [False, False, True]
