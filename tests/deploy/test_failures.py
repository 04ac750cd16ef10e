"""Failures during a deploy, and their messages."""

from __future__ import annotations

import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from deploy.application import TOKEN
from deploy.world import Stopped, World, by_name, results
from support.loopback import Reply, Request

from ckfunc.base.errors import ApiFailure, CredentialsRejected, NotFound, Unreachable, UnreadableAnswer
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import Ending
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.plan.plan import CreateVersion

SENT = "user.sent.message"
READ = "user.read.message"
CALL = "call.ended"
UNAUTHORIZED = Reply(401, {"error": "unauthorized", "error_description": "Full authentication is required"})


def refusing(method: str, path_end: str, reply: Reply) -> Callable[[Request], Reply | None]:
    """Return a hook that answers `reply` to requests with this method and end of path."""

    def before(request: Request) -> Reply | None:
        path = request.path.partition("?")[0]
        return reply if request.method == method and path.endswith(path_end) else None

    return before


@pytest.mark.parametrize(
    ("path", "reply", "kind", "said"),
    [
        ("/oauth/token", UNAUTHORIZED, CredentialsRejected, "credentials"),
        ("/nodejs", UNAUTHORIZED, CredentialsRejected, "credentials"),
        ("/nodejs", Reply(403, {"error": "access_denied"}), CredentialsRejected, "do not allow"),
        ("/nodejs", Reply(404, {"error": "ResourceNotFoundError"}), NotFound, r"not found \(404\)"),
        ("/nodejs", Reply(200, b"<html>", {"content-type": "text/html"}), UnreadableAnswer, "not JSON"),
        ("/nodejs", Reply(200, {"id": 1}), UnreadableAnswer, "does not understand"),
        ("/functions", Reply(200, b'{"_embedded": {"fun'), UnreadableAnswer, "invalid or truncated JSON"),
        ("/functions", Reply(400, {"message": "page is odd"}), ApiFailure, "page is odd"),
        ("/current-version", Reply(404, {}), NotFound, r"not found \(404\)"),
    ],
)
def test_an_error_before_the_plan_is_one_sentence_with_a_hint_and_writes_nothing(
    here: World, path: str, reply: Reply, kind: type[ApiFailure], said: str
) -> None:
    here.application.add(SENT, "a\n")
    here.application.before = lambda request: reply if request.path.partition("?")[0].endswith(path) else None
    with pytest.raises(kind, match=said) as caught:
        here.deploy(here.project({SENT: "b\n"}, environment={"KEY": "value"}))
    assert caught.value.exit_code == 1 and caught.value.hint and "\n" not in caught.value.message
    assert here.writes() == [] and here.checked == []
    if path == "/oauth/token":
        assert here.calls() == ["POST /oauth/token"]


def test_an_unreachable_host_is_reported_in_one_sentence(here: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        here.server.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable) as caught:
            here.deploy(here.project({SENT: "b\n"}))
    assert caught.value.hint


def test_a_failed_read_stops_further_reads_of_versions(here: World) -> None:
    for number in range(40):
        here.application.add(f"custom.type_{number}", "a\n")
    here.application.before = refusing("GET", "/current-version", Reply(404, {}))
    with pytest.raises(NotFound):
        here.plan(here.project({f"custom.type_{number}": "a\n" for number in range(40)}))
    # Only the concurrent requests, and no further ones.
    assert sum("current-version" in call for call in here.calls()) <= 15


@pytest.mark.parametrize(
    ("path", "done", "failed"),
    [
        ("dependencies", [], "left-pad"),
        ("environment-variables", ["left-pad"], "KEY"),
        ("script", ["left-pad", "KEY"], ""),
    ],
)
def test_a_failed_runtime_step_stops_the_steps_after_it(here: World, path: str, done: list[str], failed: str) -> None:
    here.application.before = refusing("PUT", path, Reply(400, {"message": "no room"}))
    project = here.project({SENT: "a\n"}, dependencies={"left-pad": "1"}, environment={"KEY": "value"}, script="i\n")
    report = here.deploy(project, clock=Stopped())
    names = ["left-pad", "KEY", "initialization_script", SENT]
    failed = failed or "initialization_script"
    assert results(report) == {
        name: "created" if name in done else "failed" if name == failed else "skipped" for name in names
    }
    assert report.exit_code == 1 and report.ending is Ending.STOPPED
    assert "no room" in str(by_name(report)[failed].note)
    assert "could not be written" in str(by_name(report)[SENT].note)
    assert not any(call.startswith("POST /runtimes") for call in here.calls())
    # Before the plan, before the first write, and again after a write.
    assert here.calls().count("GET /runtimes/nodejs") == (3 if done else 2)
    assert report.verified is bool(done)


def test_a_failed_function_does_not_stop_the_others(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "b\n")
    here.application.before = refusing("POST", "/functions/1/versions", Reply(400, {"message": "handler too odd"}))
    report = here.deploy(here.project({SENT: "A\n", READ: "B\n", CALL: "C\n"}))
    assert results(report) == {SENT: "failed", READ: "updated", CALL: "created"}
    assert "handler too odd" in str(by_name(report)[SENT].note)
    assert (by_name(report)[SENT].old_version, by_name(report)[SENT].new_version) == (1, None)
    assert report.exit_code == 1 and report.ending is Ending.COMPLETE and report.verified


def test_a_function_that_cannot_be_created_gets_no_version(here: World) -> None:
    here.application.before = refusing("POST", "/nodejs/functions", Reply(400, {"message": "too many functions"}))
    here.application.add(READ, "b\n")
    report = here.deploy(here.project({SENT: "a\n", READ: "B\n"}))
    assert results(report) == {SENT: "failed", READ: "updated"}
    assert here.application.history() == {READ: 2}


def test_the_next_deploy_completes_a_function_whose_first_version_failed(here: World) -> None:
    here.application.before = refusing("POST", "/versions", Reply(400, {"message": "not now"}))
    project = here.project({SENT: "a\n"})
    item = by_name(here.deploy(project))[SENT]
    assert item.result == "failed" and str(item.note).startswith("created, but its first version was not:")
    here.application.before = None
    report = here.deploy(project)
    assert report.ok and results(report) == {SENT: "updated"}
    assert here.application.history() == {SENT: 1}


def test_a_token_that_expires_during_a_deploy_is_renewed(here: World) -> None:
    refused = threading.Event()

    def once(request: Request) -> Reply | None:
        if request.method == "PUT" and not refused.is_set():
            refused.set()
            return UNAUTHORIZED
        return None

    here.application.before = once
    # The new token must differ, because the first one is rejected.
    tokens = iter(["first", TOKEN])

    def with_tokens(request: Request) -> Reply | None:
        if request.path == "/oauth/token":
            return Reply(body={"access_token": next(tokens), "expires_in": 3600})
        request.headers["authorization"] = f"Bearer {TOKEN}"
        return once(request)

    here.application.before = with_tokens
    report = here.deploy(here.project({SENT: "a\n"}, environment={"KEY": "value"}))
    assert report.ok and here.calls().count("POST /oauth/token") == 2


def test_no_requests_are_sent_after_credentials_are_rejected_during_a_deploy(here: World) -> None:
    here.application.add(SENT, "a\n")
    revoked = threading.Event()

    def revoke(request: Request) -> Reply | None:
        if request.path.endswith("environment-variables"):
            revoked.set()
        return UNAUTHORIZED if revoked.is_set() else None

    here.application.before = revoke
    report = here.deploy(here.project({SENT: "b\n"}, dependencies={"left-pad": "1"}, environment={"KEY": "value"}))
    assert results(report) == {"left-pad": "created", "KEY": "failed", SENT: "skipped"}
    assert report.exit_code == 1 and not report.verified
    assert by_name(report)[SENT].note == "not attempted: the credentials were rejected"
    last = [call for call in here.calls() if call != "POST /oauth/token"][-1]
    assert last == "PUT /runtimes/nodejs/environment-variables"


def test_a_value_quoted_in_an_error_response_is_masked(here: World) -> None:
    here.application.before = refusing(
        "PUT", "environment-variables", Reply(400, {"message": "KEY=canary-7f3a is not allowed"})
    )
    report = here.deploy(here.project(environment={"KEY": "canary-7f3a"}))
    assert "canary" not in repr(report) and "canary" not in str(report.to_json())
    assert "KEY=•••• " in str(by_name(report)["KEY"].note)


def test_a_version_whose_response_is_lost_is_looked_up_and_not_created_again(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.after = lambda request, reply: Reply(drop=True) if request.method == "POST" else reply
    report = here.deploy(here.project({SENT: "b\n"}))
    item = by_name(report)[SENT]
    assert (item.result, item.old_version, item.new_version) == ("updated", 1, 2)
    assert report.ok and here.application.history() == {SENT: 2}
    assert len(here.writes()) == 1


def test_a_function_whose_response_is_lost_is_looked_up_and_not_created_again(here: World) -> None:
    here.application.after = lambda request, reply: Reply(drop=True) if request.method == "POST" else reply
    report = here.deploy(here.project({SENT: "b\n"}))
    assert report.ok and results(report) == {SENT: "created"}
    assert here.application.history() == {SENT: 1} and len(here.writes()) == 2


def test_a_value_whose_responses_are_all_lost_is_found_by_verification(here: World) -> None:
    written = iter([Reply(200, b"<html>"), Reply(400, {"message": "not now"})])

    def lose(request: Request, reply: Reply) -> Reply:
        put = request.method == "PUT" and here.application.environment
        return next(written, reply) if put or (request.method == "GET" and here.application.environment) else reply

    here.application.after = lose
    report = here.deploy(here.project({SENT: "b\n"}, environment={"KEY": "value"}))
    assert results(report) == {"KEY": "created", SENT: "skipped"} and report.exit_code == 1


def test_a_deploy_gives_up_on_a_lost_host_once_the_concurrent_requests_failed(here: World) -> None:
    types = [f"custom.type_{number:02}" for number in range(60)]
    for name in types:
        here.application.add(name, "a\n")
    here.application.before = lambda request: (
        Reply(drop=True) if request.method == "POST" and TOKEN in str(request.headers) else None
    )
    report = here.deploy(here.project(dict.fromkeys(types, "b\n")))
    assert report.ending is Ending.STOPPED and not report.verified
    failed = [item for item in report.items if item.result == "failed"]
    skipped = [item for item in report.items if item.result == "skipped"]
    assert 8 <= len(failed) <= 16 and len(failed) + len(skipped) == 60
    assert {item.note for item in skipped} == {"not attempted: the API is unreachable"}


def test_a_version_someone_else_deployed_since_the_plan_is_not_overwritten(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "a\n")
    with here.new_client() as client:
        report = run.deploy(
            here.project({SENT: "ours\n", READ: "ours\n"}, environment={"KEY": "value"}),
            client,
            check=here.check,
            confirm=lambda _: bool(here.application.publish(1, "theirs\n")),
        )
    item = by_name(report)[SENT]
    assert report.exit_code == 1 and (item.result, item.old_version, item.new_version) == ("conflict", 1, 2)
    assert re.fullmatch(
        r"someone else deployed v2 in the meantime \(theirs \w{12}, yours \w{12}\); nothing was written", str(item.note)
    )
    assert item.hint == f"compare theirs and yours with `ckfunc diff {SENT}@2`, then deploy again"
    assert results(report) == {"KEY": "skipped", SENT: "conflict", READ: "skipped"}
    assert here.writes() == []


def test_a_version_with_the_same_script_from_someone_else_is_accepted(here: World) -> None:
    here.application.add(SENT, "a\n")
    with here.new_client() as client:
        report = run.deploy(
            here.project({SENT: "ours\n"}),
            client,
            check=here.check,
            confirm=lambda _: bool(here.application.publish(1, "ours\n")),
        )
    assert report.ok and here.writes() == [] and here.application.history() == {SENT: 2}


def test_the_first_of_two_simultaneous_deploys_wins(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "a\n")

    def overtake(request: Request) -> None:
        if request.method == "POST" and "versions" in request.path and here.application.history()[READ] == 1:
            here.application.publish(2, "theirs\n")

    here.application.before = overtake
    report = here.deploy(here.project({SENT: "ours\n", READ: "ours\n"}))
    item = by_name(report)[READ]
    assert results(report) == {READ: "conflict", SENT: "skipped"} and report.exit_code == 1
    assert "your v3 was reverted: v4 is theirs again" in str(item.note)
    assert here.application.deployed() == {SENT: "a\n", READ: "theirs\n"}


def test_values_someone_else_changed_since_the_plan_are_not_overwritten(here: World) -> None:
    here.application.environment = {"KEY": "old"}
    with here.new_client() as client:
        report = run.deploy(
            here.project(environment={"KEY": "ours"}),
            client,
            check=here.check,
            confirm=lambda _: not here.application.environment.update(KEY="theirs"),
        )
    item = by_name(report)["KEY"]
    assert item.result == "conflict" and "someone else changed the environment in the meantime" in str(item.note)
    assert here.writes() == [] and here.application.environment == {"KEY": "theirs"}


def test_a_version_someone_else_deploys_after_ours_is_detected(here: World) -> None:
    here.application.add(SENT, "a\n")
    here.application.add(READ, "a\n")

    def meddle(request: Request, reply: Reply) -> Reply:
        if request.method == "POST":
            here.application.publish(1, "theirs\n")
            here.application.publish(2, "theirs\n")
        return reply

    here.application.after = meddle
    report = here.deploy(here.project({SENT: "ours\n", READ: "a\n"}))
    assert results(report) == {SENT: "failed", READ: "failed"}
    assert by_name(report)[SENT].note == "someone else deployed v3 during this deploy"
    assert by_name(report)[READ].note == "someone else deployed v2 during this deploy"


def test_values_that_differ_after_the_deploy_are_failures(here: World) -> None:
    here.application.dependencies = {"gone": "1"}
    here.application.script = "old"
    here.application.environment = {"STAYS": "value"}
    here.application.add(SENT, "a\n")
    written = threading.Event()

    def lie(request: Request) -> Reply | None:
        if request.method == "GET" and written.is_set():
            here.application.dependencies = {"gone": "1", "left-pad": "2"}
            here.application.environment = {"STAYS": "other"}
            here.application.script = "other"
            here.application.functions.pop(1, None)
        if request.method == "POST" and "versions" in request.path:
            written.set()
        return None

    here.application.before = lie
    project = here.project(
        {SENT: "b\n"}, dependencies={"left-pad": "1"}, environment={"STAYS": "value", "KEY": "1"}, script="new"
    )
    report = here.deploy(project)
    assert {name: item.note for name, item in by_name(report).items()} == {
        "gone": "it was removed, but the application still has it",
        "left-pad": "it was written, but the application has a different value",
        "KEY": "it was written, but the application does not have it",
        "STAYS": "someone else changed it during this deploy",
        "initialization_script": "it was written, but the application has a different value",
        SENT: "the application no longer lists this function",
    }
    assert report.exit_code == 1 and report.verified and set(results(report).values()) == {"failed"}


def test_a_version_that_does_not_become_current_is_a_failure(here: World) -> None:
    here.application.add(SENT, "a\n")
    listed = here.application.functions[1]

    def forget(request: Request, reply: Reply) -> Reply:
        here.application.functions[1] = listed
        return reply

    here.application.after = forget
    item = by_name(here.deploy(here.project({SENT: "b\n"})))[SENT]
    assert item.result == "failed" and item.note == "v2 was created, but the application still runs v1"


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ({"handlerScript": "mangled"}, "the platform stored v2 with a different script than was sent"),
    ],
)
def test_a_response_that_differs_from_the_request_is_a_failure(
    here: World, answer: dict[str, object], note: str
) -> None:
    here.application.add(SENT, "a\n")
    here.application.after = lambda request, reply: (
        Reply(body={**reply.body, **answer}) if request.method == "POST" else reply
    )
    item = by_name(here.deploy(here.project({SENT: "b\n"})))[SENT]
    assert item.result == "failed"
    assert item.note == note


def test_an_unreadable_write_is_a_failure(here: World) -> None:
    here.application.add(READ, "b\n")
    written = threading.Event()

    def deaf(request: Request) -> Reply | None:
        if request.method == "POST" and "versions" in request.path:
            written.set()
        return Reply(404, {}) if written.is_set() and request.method == "GET" else None

    here.application.before = deaf
    report = here.deploy(here.project({SENT: "a\n", READ: "b\n"}))
    assert results(report) == {SENT: "failed", READ: "unchanged"}
    assert str(by_name(report)[SENT].note).startswith("it was written, but could not be verified: ")
    assert report.exit_code == 1 and not report.verified


def test_a_failed_write_that_cannot_be_verified_may_have_been_written(here: World) -> None:
    written = threading.Event()

    def lost(request: Request, reply: Reply) -> Reply:
        if request.method == "PUT":
            written.set()
            return Reply(500, {})
        return reply

    here.application.before = lambda request: Reply(404, {}) if written.is_set() and request.method == "GET" else None
    here.application.after = lost
    report = here.deploy(here.project({}, dependencies={"left-pad": "1"}))
    item = by_name(report)["left-pad"]
    assert item.result == "failed" and not report.verified
    assert "; it may have been written, but could not be verified: " in str(item.note)


def test_an_interrupt_between_steps_ends_with_an_accurate_report(here: World) -> None:
    def interrupt(step: object) -> None:
        if isinstance(step, CreateVersion):
            raise KeyboardInterrupt

    report = here.deploy(here.project({SENT: "a\n"}, environment={"KEY": "value"}), on_step=interrupt)
    assert report.exit_code == 130 and report.ending is Ending.INTERRUPTED and not report.verified
    assert results(report) == {"KEY": "created", SENT: "skipped"}
    assert by_name(report)[SENT].note == "created, but without a version"
    assert here.deploy(here.project({SENT: "a\n"}, environment={"KEY": "value"})).ok


def test_an_interrupt_lets_running_requests_finish_and_starts_no_others(here: World) -> None:
    types = [f"custom.type_{number:02}" for number in range(20)]
    for name in types:
        here.application.add(name, "a\n")
    started: list[object] = []

    def interrupt(step: object) -> None:
        started.append(step)
        if len(started) == 5:
            raise KeyboardInterrupt

    report = here.deploy(here.project(dict.fromkeys(types, "b\n")), on_step=interrupt)
    done = {name for name, result in results(report).items() if result == "updated"}
    assert report.exit_code == 130
    assert done == {name for name, script in here.application.deployed().items() if script == "b\n"}
    assert {item.note for item in report.items if item.name not in done} == {"not attempted: interrupted"}


def wait_for_abandoned_reads() -> None:
    """Wait for reads that an interrupt abandoned before their client is closed."""
    for thread in threading.enumerate():
        if thread.name == "ckfunc-worker":
            thread.join()


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Press Ctrl-C: the main thread gets a real SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one thread")
def test_ctrl_c_waits_for_a_version_that_is_being_created(here: World, interrupt: Callable[[], None]) -> None:
    here.application.add(SENT, "a\n")

    def press(request: Request) -> Reply | None:
        if request.method == "POST" and "versions" in request.path:
            interrupt()
        return None

    here.application.before = press
    report = here.deploy(here.project({SENT: "b\n"}))
    assert report.exit_code == 130 and results(report) == {SENT: "updated"}
    assert here.application.deployed() == {SENT: "b\n"}


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one thread")
def test_ctrl_c_during_verification_still_prints_the_report(here: World, interrupt: Callable[[], None]) -> None:
    def press(request: Request) -> Reply | None:
        if request.method == "GET" and request.path.endswith("/nodejs") and here.writes():
            interrupt()
        return None

    here.application.before = press
    with here.new_client() as client:
        report = run.deploy(
            here.project(environment={"KEY": "value"}), client, check=here.check, confirm=lambda _: True
        )
        wait_for_abandoned_reads()
    assert report.exit_code == 130 and results(report) == {"KEY": "created"} and not report.verified


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one thread")
@pytest.mark.parametrize("path", ["/nodejs", "/current-version"])
def test_ctrl_c_does_not_wait_for_an_unresponsive_host(here: World, interrupt: Callable[[], None], path: str) -> None:
    here.application.add(SENT, "a\n")
    answers = threading.Event()

    def press(request: Request) -> Reply | None:
        if request.path.endswith(path):
            interrupt()
            answers.wait(30)
        return None

    here.application.before = press
    with here.new_client() as client:
        with pytest.raises(KeyboardInterrupt):
            run.plan(here.project({SENT: "b\n"}), client, VersionCache(here.root))
        assert not answers.is_set() and sum(call.endswith(path) for call in here.calls()) == 1
        answers.set()
        wait_for_abandoned_reads()
