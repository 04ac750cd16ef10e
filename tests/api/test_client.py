"""Operations of the API client, against a scripted server."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support.loopback import Reply, Request
from support.scripted import RUNTIME, SNAKE_RUNTIME, Platform, page_of, platform

from ckfunc.api import emulator
from ckfunc.base.errors import (
    ApiFailure,
    CredentialsRejected,
    NotFound,
    RequestRejected,
    ServiceTrouble,
    Unreachable,
    UnreadableAnswer,
)
from ckfunc.base.secrets import revealed, secret_values
from ckfunc.model.application import ApplicationSettings, NewFunction, Status

FUNCTION = {"id": 5, "type": "user.sent.message", "name": "N", "enabled": True, "currentVersionNumber": 3}
VERSION = {"id": 50, "versionNumber": 3, "handlerScript": "x"}
INVOCATION = {
    "id": 9,
    "versionNumber": 3,
    "args": {"auth_params": {"displayName": "J"}},
    "status": "SUCCEEDED",
    "result": {"payload": [1]},
    "createdTime": "2021-09-20T06:37:01.766Z",
}
APPLICATION = {"id": 7, "key": "k", "properties": {}, "created_time": "2020-10-02T20:29:25.316Z"}
R = "/v1/runtimes/nodejs"


def run(served: Platform, call: Any) -> Any:
    with served.client() as client:
        return call(client)


def snake(document: Any) -> Any:
    from ckfunc.wire.dialects import Dialect, spelled

    return spelled(document, Dialect.SNAKE)


def test_every_operation_uses_the_v1_path_with_a_token_and_json() -> None:
    settings = {"features": {"guest_users": "ENABLED", "user_created_channels": "DISABLED"}}
    routes = {
        "GET /v1/application": Reply(body=APPLICATION),
        "GET /v1/application/settings": Reply(body=settings),
        "PUT /v1/application/settings": Reply(body=settings),
        f"GET {R}": Reply(body=RUNTIME),
        f"PUT {R}/dependencies": Reply(body=RUNTIME),
        f"PUT {R}/environment-variables": Reply(body=RUNTIME),
        f"PUT {R}/initialization-script": Reply(body=RUNTIME),
        f"GET {R}/functions": Reply(body=page_of("functions", [FUNCTION], size=500)),
        f"POST {R}/functions": Reply(body=FUNCTION),
        "GET /v1/functions/5": Reply(body=FUNCTION),
        "GET /v1/functions/5/current-version": Reply(body=VERSION),
        "GET /v1/function-versions/50": Reply(body=VERSION),
        "GET /v1/functions/5/versions": Reply(body=page_of("versions", [VERSION])),
        "POST /v1/functions/5/versions": Reply(body=VERSION),
        "GET /v1/functions/5/invocations": Reply(body=page_of("invocations", [INVOCATION])),
    }
    with platform(routes) as served, served.client() as client:
        assert client.identity is None
        assert client.application().key == "k"
        assert client.settings() == ApplicationSettings(guest_users=True, user_created_channels=False)
        assert client.update_settings(ApplicationSettings(True, False)).guest_users
        assert client.runtime().application_id == 7
        client.update_dependencies({"b": "2", "a": "1"})
        client.update_environment(secret_values({"A_b": "1", "cD": "2"}))
        client.update_initialization_script("s")
        assert [function.type for function in client.functions()] == ["user.sent.message"]
        assert client.create_function(NewFunction("user.sent.message", "N", "D")).id == 5
        assert client.function(5).current_version_number == 3
        assert client.current_version(5).id == client.version(50).id == 50
        assert [version.version_number for version in client.versions(5)] == [3]
        assert client.create_version(5, "x").handler_script == "x"
        page = client.invocations(5)
        assert page.items[0].status is Status.SUCCEEDED
        assert page.items[0].args == {"auth_params": {"displayName": "J"}}
        assert client.identity == f"{served.server.url}#7"
        assert client.emulator_id is None

        assert sorted({call.split("?")[0] for call in served.calls()}) == sorted(routes)
        assert served.calls()[-1].endswith("?page=0&size=25&sort=id%2Cdesc")
        assert f"GET {R}/functions?page=0&size=500" in served.calls()
        for request in served.server.requests[1:]:
            assert request.headers["authorization"] == "Bearer token-1"
            assert request.headers["accept"] == "application/json"
            assert request.headers.get("content-type") == (None if request.method == "GET" else "application/json")
        sent = {
            f"{request.method} {request.path}": request.json()
            for request in served.server.requests[1:]
            if request.method != "GET"
        }
        assert sent == {
            "PUT /v1/application/settings": {"guestUsers": "ENABLED", "userCreatedChannels": "DISABLED"},
            f"PUT {R}/dependencies": [
                {"name": "a", "version": "1", "defaultDependency": False},
                {"name": "b", "version": "2", "defaultDependency": False},
            ],
            f"PUT {R}/environment-variables": {"A_b": "1", "cD": "2"},
            f"PUT {R}/initialization-script": {"script": "s"},
            f"POST {R}/functions": {
                "type": "user.sent.message",
                "name": "N",
                "description": "D",
                "initializeAsynchronously": False,
            },
            "POST /v1/functions/5/versions": {"handlerScript": "x"},
        }


# -- dialects ----------------------------------------------------------------------------------------------------


def test_both_spellings_are_read_and_writes_use_the_spelling_of_the_runtime() -> None:
    routes = {
        f"GET {R}": Reply(body=SNAKE_RUNTIME),
        f"GET {R}/functions": Reply(body=page_of("functions", [snake(FUNCTION)], size=500)),
        f"PUT {R}/environment-variables": Reply(body=SNAKE_RUNTIME),
        "POST /v1/functions/5/versions": Reply(body=snake(VERSION)),
    }
    with platform(routes) as served, served.client() as client:
        runtime = client.runtime()
        assert revealed(runtime.own_environment()) == {"SNAKE_name": "x", "camelName": "y"}
        assert runtime.dependencies[0].default
        assert client.functions()[0].current_version_number == 3
        client.update_environment(secret_values({"camelName": "1", "snake_name": "2"}))
        assert client.create_version(5, "x").version_number == 3
        put, post = served.server.requests[-2:]
        assert put.json() == {"camelName": "1", "snake_name": "2"}
        assert post.json() == {"handler_script": "x"}
        assert {put.headers["content-type"], post.headers["content-type"]} == {"application/vnd.chatkitty+json"}


def only_snake(request: Request) -> Reply:
    if request.headers["content-type"] != "application/vnd.chatkitty+json":
        return Reply(415, {"message": "Unsupported"})
    return Reply(body=VERSION) if "handler_script" in request.json() else Reply(400, {"message": "no script"})


@pytest.mark.parametrize("status", [400, 415])
def test_a_refused_write_is_retried_in_the_other_dialect_which_is_then_used(status: int) -> None:
    def answer(request: Request) -> Reply:
        return Reply(body=VERSION) if "handler_script" in request.json() else Reply(status, {"message": "?"})

    with platform({"POST /v1/functions/5/versions": answer, f"GET {R}": Reply(body=RUNTIME)}) as served:
        with served.client() as client:
            client.create_version(5, "x")
            client.runtime()  # its camelCase no longer matters, because a write with snake_case succeeded
            client.create_version(5, "y")
        kinds = [request.headers["content-type"] for request in served.asked("POST /v1/functions/5/versions")]
        assert kinds == ["application/json", "application/vnd.chatkitty+json", "application/vnd.chatkitty+json"]


def test_names_of_environment_variables_are_the_same_in_both_dialects() -> None:
    replies = [Reply(415), Reply(body=RUNTIME)]
    with platform({f"PUT {R}/environment-variables": replies}) as served:
        run(served, lambda client: client.update_environment(secret_values({"camelName": "1", "snake_name": "2"})))
        first, second = served.asked(f"PUT {R}/environment-variables")
        assert first.body == second.body
        assert second.headers["content-type"] == "application/vnd.chatkitty+json"


@pytest.mark.parametrize(
    ("first", "second", "reported"),
    [
        (400, 400, "first"),
        (400, 415, "first"),
        (400, 404, "first"),
        (415, 400, "second"),
        (415, 415, "second"),
        (400, 500, "second"),
    ],
)
def test_the_more_informative_of_two_refusals_is_reported(first: int, second: int, reported: str) -> None:
    replies = [Reply(first, {"message": "first"}), Reply(second, {"message": "second"})]
    with platform({"POST /v1/functions/5/versions": replies}) as served:
        with pytest.raises(ApiFailure, match=reported):
            run(served, lambda client: client.create_version(5, "x"))
        assert len(served.calls()) == 2


# -- tokens ------------------------------------------------------------------------------------------------------


def test_the_token_is_requested_with_basic_authentication_and_cached() -> None:
    with platform({f"GET {R}": Reply(body=RUNTIME)}) as served, served.client() as client:
        client.runtime()
        client.runtime()
        asked = served.asked("POST /oauth/token")
        assert len(asked) == 1
        assert asked[0].headers["authorization"] == "Basic dGhlLWNsaWVudDp0aGUtczNjcmV0"
        assert asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
        assert asked[0].body == b"grant_type=client_credentials"


def test_the_token_is_renewed_shortly_before_it_ends() -> None:
    with platform({f"GET {R}": Reply(body=RUNTIME)}) as served, served.client() as client:
        for passing_s in (0, 3569, 2):
            served.clock.advance(passing_s)
            client.runtime()
        assert [request.headers["authorization"] for request in served.asked(f"GET {R}")] == [
            "Bearer token-1",
            "Bearer token-1",
            "Bearer token-2",
        ]


@pytest.mark.parametrize("lasts", [None, "soon", -5, 0, "Infinity", [1]])
def test_a_token_without_a_valid_lifetime_is_used_for_some_minutes(lasts: Any) -> None:
    routes = {
        f"GET {R}": Reply(body=RUNTIME),
        "POST /oauth/token": Reply(body={"access_token": "t", "expires_in": lasts}),
    }
    with platform(routes) as served, served.client() as client:
        for passing_s in (0, 200, 200):
            served.clock.advance(passing_s)
            client.runtime()
        assert len(served.asked("POST /oauth/token")) == 2


def test_a_rejected_token_is_renewed_once_even_for_a_post() -> None:
    def answer(request: Request) -> Reply:
        return Reply(401) if request.headers["authorization"] == "Bearer token-1" else Reply(body=VERSION)

    with platform({"POST /v1/functions/5/versions": answer}) as served:
        run(served, lambda client: client.create_version(5, "x"))
        assert len(served.calls()) == 2
        assert served.tokens == 2


def test_a_rejected_new_token_is_an_error_without_the_token() -> None:
    refusal = Reply(401, {"error": "unauthorized", "error_description": "token-2 is bad, the-s3cret too"})
    with platform({f"GET {R}": refusal}) as served:
        with pytest.raises(CredentialsRejected, match="does not accept these credentials") as caught:
            run(served, lambda client: client.runtime())
        assert "token-2" not in caught.value.message
        assert "the-s3cret" not in caught.value.message
        assert served.tokens == 2
        assert len(served.calls()) == 2


def test_many_threads_share_one_token_request() -> None:
    token = Reply(body={"access_token": "t", "expires_in": 3600}, delay_s=0.05)
    with platform({f"GET {R}": Reply(body=RUNTIME), "POST /oauth/token": token}) as served, served.client() as client:
        threads = [threading.Thread(target=client.runtime) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(served.asked("POST /oauth/token")) == 1
        assert len(served.calls()) == 16


def test_many_threads_whose_token_is_refused_renew_it_once() -> None:
    def answer(request: Request) -> Reply:
        return Reply(401) if request.headers["authorization"] == "Bearer token-1" else Reply(body=RUNTIME)

    with platform({f"GET {R}": answer}) as served, served.client() as client:
        threads = [threading.Thread(target=client.runtime) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert served.tokens == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_client", "error_description": "Bad client credentials: the-s3cret"}),
        (400, {"error": "invalid_client"}),
        (403, b"<html>"),
    ],
)
def test_wrong_credentials_are_sent_once_by_all_threads(status: int, body: Any) -> None:
    routes = {f"GET {R}": Reply(body=RUNTIME), "POST /oauth/token": Reply(status, body, delay_s=0.05)}
    with platform(routes) as served, served.client() as client:
        failures: list[ApiFailure] = []

        def ask() -> None:
            try:
                client.runtime()
            except ApiFailure as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ask()
        assert [type(failure) for failure in failures] == [CredentialsRejected] * 9
        assert all("does not accept these credentials" in failure.message for failure in failures)
        assert all("the-s3cret" not in failure.message and failure.hint for failure in failures)
        assert served.server.calls() == ["POST /oauth/token"]
        served.clock.advance(6)
        ask()
        assert len(served.server.requests) == 2


def test_a_multipart_form_is_sent_to_a_token_endpoint_that_requires_it() -> None:
    replies = [Reply(400, {"error": "invalid_request"}), Reply(body={"access_token": "t", "expires_in": "60"})]
    with platform({f"GET {R}": Reply(body=RUNTIME), "POST /oauth/token": replies}) as served:
        run(served, lambda client: client.runtime())
        second = served.asked("POST /oauth/token")[1]
        assert second.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert b'name="grant_type"\r\n\r\nclient_credentials\r\n' in second.body


@pytest.mark.parametrize(
    "body", [{}, [], {"access_token": 5}, {"access_token": ""}, {"access_token": "a\nb"}, b"<html>"]
)
def test_a_token_response_without_a_token_is_an_error(body: Any) -> None:
    with platform({"POST /oauth/token": Reply(body=body)}) as served, pytest.raises(UnreadableAnswer) as caught:
        run(served, lambda client: client.runtime())
    assert caught.value.hint


def test_temporary_errors_of_the_token_endpoint_are_retried() -> None:
    replies = [Reply(503), Reply(drop=True), Reply(body={"access_token": "t", "expires_in": 60})]
    with platform({f"GET {R}": Reply(body=RUNTIME), "POST /oauth/token": replies}) as served:
        run(served, lambda client: client.runtime())
        assert len(served.clock.slept) == 2


def test_a_token_endpoint_that_keeps_failing_is_a_service_error() -> None:
    with platform({"POST /oauth/token": Reply(503, {"message": "down"})}) as served:
        with pytest.raises(ServiceTrouble, match="reading a token"):
            run(served, lambda client: client.runtime())
        assert len(served.server.requests) == 4


# -- retries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [Reply(429), Reply(502), Reply(503), Reply(504), Reply(drop=True)])
def test_reads_are_retried_after_temporary_errors_and_waits_are_reported(trouble: Reply) -> None:
    with platform({f"GET {R}": [trouble, trouble, Reply(body=RUNTIME)]}) as served:
        run(served, lambda client: client.runtime())
        assert len(served.calls()) == 3
        assert [wait.attempt for wait in served.waits] == [1, 2]
        assert [wait.seconds for wait in served.waits] == served.clock.slept
        assert 0.25 <= served.clock.slept[0] <= 0.5 <= served.clock.slept[1] <= 1.0
        assert all(wait.reason.startswith("127.0.0.1:") for wait in served.waits)


def test_a_put_is_retried() -> None:
    replies = [Reply(drop=True), Reply(503), Reply(body=RUNTIME)]
    with platform({f"PUT {R}/dependencies": replies}) as served:
        run(served, lambda client: client.update_dependencies({}))
        assert len(served.calls()) == 3


def test_retry_after_is_honoured() -> None:
    replies = [
        Reply(429, headers={"Retry-After": "7"}),
        Reply(503, headers={"Retry-After": "3600"}),
        Reply(body=RUNTIME),
    ]
    with platform({f"GET {R}": replies}) as served:
        run(served, lambda client: client.runtime())
        assert served.clock.slept == [7.0, 60.0]


def test_retries_are_limited_and_the_last_response_is_reported() -> None:
    with platform({f"GET {R}": Reply(503, {"message": "Down for maintenance"})}) as served:
        with pytest.raises(ServiceTrouble, match="503: Down for maintenance"):
            run(served, lambda client: client.runtime())
        assert len(served.calls()) == 4


def test_the_total_wait_of_a_request_is_limited() -> None:
    with platform({f"GET {R}": Reply(429, headers={"Retry-After": "60"})}) as served:
        with pytest.raises(ServiceTrouble):
            run(served, lambda client: client.runtime())
        assert served.clock.slept == [60.0, 60.0]


@pytest.mark.parametrize("trouble", [Reply(429), Reply(500), Reply(503), Reply(504)])
def test_a_post_is_not_repeated(trouble: Reply) -> None:
    with platform({"POST /v1/functions/5/versions": trouble}) as served:
        with pytest.raises(ServiceTrouble):
            run(served, lambda client: client.create_version(5, "x"))
        assert len(served.calls()) == 1


def test_a_lost_response_to_a_post_is_reported_as_unknown() -> None:
    with platform({"POST /v1/functions/5/versions": Reply(drop=True)}) as served:
        with pytest.raises(Unreachable, match="it is unknown whether the request was processed") as caught:
            run(served, lambda client: client.create_version(5, "x"))
        assert caught.value.hint
        assert len(served.calls()) == 1


def test_other_server_errors_are_not_retried() -> None:
    with platform({f"GET {R}": Reply(500, b"<html>")}) as served:
        with pytest.raises(ServiceTrouble):
            run(served, lambda client: client.runtime())
        assert len(served.calls()) == 1


def test_an_unreachable_host_is_an_error_after_a_few_attempts() -> None:
    with platform({}) as served:
        client = served.client(authorization_url="http://127.0.0.1:1/oauth/token")
        with client, pytest.raises(Unreachable, match=r"127\.0\.0\.1:1") as caught:
            client.runtime()
        assert caught.value.hint
        assert len(served.clock.slept) == 3
        assert served.server.requests == []


def test_permanent_connection_errors_are_not_retried() -> None:
    with platform({}) as served:
        client = served.client()
        client.close()
        with pytest.raises(Unreachable, match="already closed"):
            client.runtime()
        assert served.clock.slept == []


# -- responses ---------------------------------------------------------------------------------------------------


def test_a_404_error_names_the_resource() -> None:
    with platform({}) as served, pytest.raises(NotFound, match="reading function 12"):
        run(served, lambda client: client.function(12))


def test_no_request_follows_a_response_that_is_not_json() -> None:
    page = Reply(200, b"<html>Sign in</html>", {"content-type": "text/html"})
    with platform({f"GET {R}": page}) as served:
        with pytest.raises(UnreadableAnswer, match="text/html"):
            run(served, lambda client: client.runtime())
        assert len(served.calls()) == 1


@pytest.mark.parametrize(
    "body",
    [[], None, 5, {"id": "one"}, {**RUNTIME, "dependencies": "none"}, {**RUNTIME, "environmentVariables": ["A"]}],
)
def test_a_document_with_an_unexpected_structure_is_an_error(body: Any) -> None:
    reply = Reply(body=json.dumps(body).encode())
    with platform({f"GET {R}": reply}) as served, pytest.raises(UnreadableAnswer, match="does not understand"):
        run(served, lambda client: client.runtime())


def test_environment_values_that_the_platform_quotes_are_masked() -> None:
    refusal = Reply(400, {"message": "value 'sk-very-secret' is too long"})
    with platform({f"PUT {R}/environment-variables": refusal}) as served:
        with pytest.raises(RequestRejected, match="is too long") as caught:
            run(served, lambda client: client.update_environment(secret_values({"KEY": "sk-very-secret"})))
        assert "sk-very-secret" not in caught.value.message


def functions(count: int, *, granted: int) -> Any:
    def answer(request: Request) -> Reply:
        from urllib.parse import parse_qs, urlsplit

        number = int(parse_qs(urlsplit(request.path).query)["page"][0])
        ids = range(number * granted, min((number + 1) * granted, count))
        items = [{**FUNCTION, "id": function_id + 1, "type": f"t{function_id}"} for function_id in ids]
        return Reply(body=page_of("functions", items, number=number, size=granted, total=count))

    return answer


def test_500_functions_are_read_with_one_request() -> None:
    with platform({f"GET {R}/functions": functions(500, granted=500)}) as served:
        assert len(run(served, lambda client: client.functions())) == 500
        assert len(served.calls()) == 1


def test_all_pages_are_read_if_the_platform_returns_smaller_pages() -> None:
    with platform({f"GET {R}/functions": functions(60, granted=25)}) as served:
        assert [function.id for function in run(served, lambda client: client.functions())] == list(range(1, 61))
        assert len(served.calls()) == 3


def test_an_empty_list_may_have_no_items_field() -> None:
    empty = {"page": {"size": 500, "totalElements": 0, "totalPages": 0, "number": 0}}
    with platform({f"GET {R}/functions": Reply(body=empty)}) as served:
        assert run(served, lambda client: client.functions()) == ()


def test_links_lead_through_a_list_whose_pages_do_not_say_how_many_there_are() -> None:
    def page(number: int, relations: dict[str, int]) -> Reply:
        linked = {name: {"href": f"https://elsewhere/x?page={to}&size=1"} for name, to in relations.items()}
        return Reply(body={"_embedded": {"functions": [{**FUNCTION, "id": number}]}, "_links": linked})

    pages = [page(0, {"self": 0, "next": 1}), page(1, {"self": 1, "next": 2}), page(2, {"self": 2})]
    with platform({f"GET {R}/functions": pages}) as served:
        assert [function.id for function in run(served, lambda client: client.functions())] == [0, 1, 2]
        assert len(served.calls()) == 3


def test_a_list_that_cannot_be_read_completely_is_an_error() -> None:
    stuck = page_of("functions", [FUNCTION], size=1, total=3)
    with platform({f"GET {R}/functions": Reply(body=stuck)}) as served:
        with pytest.raises(UnreadableAnswer, match="cannot be read completely"):
            run(served, lambda client: client.functions())
        assert len(served.calls()) == 2


def test_versions_are_read_one_page_at_a_time() -> None:
    pages = [
        Reply(body=page_of("versions", [{**VERSION, "id": 52}, {**VERSION, "id": 51}], size=2, total=3)),
        # A version was created in between, so that 51 moved to the second page.
        Reply(body=page_of("versions", [{**VERSION, "id": 51}, {**VERSION, "id": 50}], number=1, size=2, total=4)),
    ]
    with platform({"GET /v1/functions/5/versions": pages}) as served, served.client() as client:
        versions = client.versions(5)
        assert served.calls() == []
        assert next(versions).id == 52
        assert len(served.calls()) == 1
        assert [version.id for version in versions] == [51, 50]


# -- the emulator ------------------------------------------------------------------------------------------------


def test_an_emulator_is_recognized_by_its_header_and_is_part_of_the_identity() -> None:
    reply = Reply(body=RUNTIME, headers={"X-Ckfunc-Emulator": "1b-2c"})
    with platform({f"GET {R}": reply}) as served, served.client() as client:
        client.runtime()
        assert client.emulator_id == "1b-2c"
        assert client.identity == "emulator#7#1b-2c"


def test_an_emulator_header_that_cannot_be_an_id_is_ignored() -> None:
    reply = Reply(body=RUNTIME, headers={"X-Ckfunc-Emulator": "../../x"})
    with platform({f"GET {R}": reply}) as served, served.client() as client:
        client.runtime()
        assert client.emulator_id is None


def test_details_of_invocations_are_requested_in_batches() -> None:
    def answer(request: Request) -> Reply:
        ids = request.path.split("ids=")[1].split("%2C")
        details = [
            {"id": int(invocation_id), "console": [{"level": "log", "text": f"l{invocation_id}"}], "durationMs": 1.5}
            for invocation_id in ids
            if invocation_id != "3"
        ]
        return Reply(body={"invocations": details})

    with platform({"GET /emulator/invocations": answer}) as served, served.client() as client:
        found = emulator.invocation_details(client, [*range(1, 251), 2])
        assert len(served.calls()) == 3
        assert 3 not in found
        assert (found[250].console[0].text, found[250].duration_ms) == ("l250", 1.5)
        assert emulator.invocation_details(client, []) == {}


def test_an_event_is_fired_once_and_the_response_is_not_respelled() -> None:
    done = {"invocation": {"args": {"snake_name": 1}}, "detail": {"durationMs": 2}, "allowed": True, "reason": None}
    with platform({"POST /emulator/trigger": Reply(body=done)}) as served, served.client() as client:
        assert emulator.trigger(client, "user.sent.message", {"some_name": {"otherName": 1}}) == done
        assert served.asked("POST /emulator/trigger")[0].json() == {
            "type": "user.sent.message",
            "data": {"some_name": {"otherName": 1}},
        }


def test_the_health_and_enabled_controls_use_their_endpoints() -> None:
    routes = {
        "GET /emulator/health": Reply(body={"status": "ok"}),
        "PUT /emulator/functions/5/enabled": Reply(body={"enabled": False}),
    }
    with platform(routes) as served, served.client() as client:
        assert emulator.health(client) == {"status": "ok"}
        emulator.set_enabled(client, 5, False)
        assert served.asked("PUT /emulator/functions/5/enabled")[0].json() == {"enabled": False}


def test_unexpected_responses_of_controls_are_errors() -> None:
    routes = {"GET /emulator/health": Reply(body=[]), "GET /emulator/invocations": Reply(body={"invocations": [{}]})}
    with platform(routes) as served, served.client() as client:
        with pytest.raises(UnreadableAnswer):
            emulator.health(client)
        with pytest.raises(UnreadableAnswer):
            emulator.invocation_details(client, [1])
