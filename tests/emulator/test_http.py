"""Rules of every operation: paths, spellings, bodies, pages, errors and authentication."""

from __future__ import annotations

import http.client
import json
import re

import httpx
import pytest

from ckfunc.emulator.asgi import ROUTES
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.http.routing import Access

SNAKE = "application/vnd.chatkitty+json"
CAMEL = "application/vnd.chatkitty.v1+json"
FUNCTIONS = "/v1/runtimes/nodejs/functions"


def new_function(client: httpx.Client, trigger_type: str) -> int:
    made = client.post(FUNCTIONS, json={"type": trigger_type, "name": trigger_type})
    assert made.status_code == 200, made.text
    return int(made.json()["id"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/application",
        "/application",
        "/v1/application/",
        "//application",
        "/v1//application",
        "/v1/applications/1",
        "/applications/1/",
        "/v1/applications/1/application",
    ],
)
def test_every_variant_of_a_path_leads_to_the_same_resource(client: httpx.Client, path: str) -> None:
    answer = client.get(client.base_url.copy_with(path=path))
    assert answer.status_code == 200
    assert answer.json()["id"] == 1


def test_a_link_can_be_followed(client: httpx.Client) -> None:
    made = new_function(client, "user.sent.message")
    links = client.get(f"/v1/functions/{made}").json()["_links"]
    assert client.get(links["self"]["href"]).json()["id"] == made
    assert client.get(links["versions"]["href"]).json()["page"]["totalElements"] == 0
    assert client.get(links["application"]["href"]).json()["id"] == 1


@pytest.mark.parametrize(
    ("path", "accept", "spelling", "media_type"),
    [
        ("/v1", "application/json, text/plain, */*", "camel", "application/json"),
        ("/v1", None, "camel", "application/json"),
        ("/v1", SNAKE, "snake", SNAKE),
        ("/v1", f"{SNAKE},*/*;q=0.8", "snake", SNAKE),
        ("", None, "snake", SNAKE),
        ("", "application/json", "snake", "application/json"),
        ("", CAMEL, "camel", CAMEL),
        ("/v1", f"{SNAKE};q=0.1, {CAMEL};q=nonsense", "camel", CAMEL),
        ("/v1", f"{SNAKE};q=0, application/hal+json", "camel", "application/hal+json"),
    ],
)
def test_the_spelling_depends_on_the_accept_header_and_then_on_the_path(
    client: httpx.Client, path: str, accept: str | None, spelling: str, media_type: str
) -> None:
    new_function(client, "user.sent.message")
    headers = {} if accept is None else {"accept": accept}
    answer = client.get(f"{path}/runtimes/nodejs/functions", headers=headers)
    name = "currentVersionNumber" if spelling == "camel" else "current_version_number"
    assert name in answer.json()["_embedded"]["functions"][0]
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        SNAKE,
        CAMEL,
        "application/merge-patch+json",
        "application/json+merge-patch",
    ],
)
def test_bodies_are_accepted_in_every_media_type_of_the_platform(client: httpx.Client, media_type: str) -> None:
    body = json.dumps({"type": "a", "name": "A", "initialize_asynchronously": True})
    answer = client.post(FUNCTIONS, content=body, headers={"content-type": media_type})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "media_type", "explanation"),
    [
        (b'{"a": 1,\n "b": nonsense}', "application/json", r"line 2, column 7"),
        (b"", "application/json", r"no body"),
        (b"  ", None, r"no body"),
        (b"[1", "application/json", r"not JSON"),
        (b'{"type": 1e999}', "application/json", r"the number 1e999 is too large"),
        (b'{"type": NaN}', "application/json", r"NaN is not a JSON value"),
        (b"\xff\xfe", "application/json", r"not UTF-8"),
        (b'{"type": "\\ud800"}', "application/json", r"surrogate"),
        (b"[" * 100_000, "application/json", r"nested too deeply"),
        (b'{"type": 1' + b"0" * 5000 + b"}", "application/json", r"a number has too many digits"),
        (b"{}", "text/plain", r"sent as text/plain"),
        (b"{}", "application/json; charset=utf-16", r"UTF-8"),
        (b"[]", "application/json", r"not an object"),
        (b"{}", "application/json", r"'type' is missing"),
        (b'{"type": "  ", "name": "x"}', "application/json", r"'type' is empty"),
    ],
)
def test_an_invalid_body_is_a_400_with_the_reason(
    client: httpx.Client, body: bytes, media_type: str | None, explanation: str
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    answer = client.post(FUNCTIONS, content=body, headers=headers)
    assert answer.status_code == 400
    document = answer.json()
    assert document["error"] == "ClientError"
    assert document["message"] == "A client error occurred, check your request"
    assert re.search(explanation, document["explanation"]), document
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["timestamp"])


def test_a_body_that_is_too_large_is_refused_and_the_connection_stays_open(client: httpx.Client) -> None:
    answer = client.post(FUNCTIONS, content=b" " * (3 * 1024 * 1024), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "2 MiB" in answer.json()["explanation"]
    assert client.get("/v1/application").status_code == 200


def test_an_unknown_path_is_a_404_and_a_wrong_method_is_a_400_that_lists_the_methods(client: httpx.Client) -> None:
    for path in ("/v1/nothing", "/nothing", "/v1", "/v1/functions", "/v1/functions/1/nothing/more"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "ResourceNotFoundError"), path
    wrong = client.delete("/v1/application/settings")
    assert wrong.status_code == 400
    assert wrong.headers["allow"] == "GET, PUT"


def test_another_application_is_a_404(client: httpx.Client) -> None:
    answer = client.get("/v1/applications/2/functions/1")
    assert answer.status_code == 404
    assert "there is no application 2" in answer.json()["explanation"]


@pytest.mark.parametrize(
    "identifier",
    [
        "x",
        "1.5",
        "--1",
        "-9223372036854775808",
        "9223372036854775808",
        "%31%00",
        "٣",
        "1" * 50,
        "0" * 20 + "9" * 30,
        "9" * 5000,
    ],
)
def test_an_id_that_is_not_a_number_is_a_400(client: httpx.Client, identifier: str) -> None:
    assert client.get(f"/v1/functions/{identifier}").status_code == 400


def test_leading_zeros_do_not_change_an_id(client: httpx.Client) -> None:
    made = new_function(client, "some.event")
    assert client.get(f"/v1/functions/{made:050}").json()["id"] == made


@pytest.mark.parametrize("query", ["x" * 60_000, "!" * 60_000, "%25" * 5_000, "%F0%9F%8C%9E" * 5_000])
def test_a_search_text_that_is_too_long_is_a_400(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/v1/messages?query={query}")
    assert answer.status_code == 400
    assert "at most 4096" in answer.json()["explanation"]


def test_a_head_request_is_answered_like_get_without_a_body(client: httpx.Client) -> None:
    answer = client.head("/v1/application")
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.head("/v1/functions/7").status_code == 404


def test_pages_have_the_documented_links_and_counts(client: httpx.Client) -> None:
    made = [new_function(client, f"type.{number}") for number in range(5)]
    first = client.get(FUNCTIONS, params={"size": 2}).json()
    assert [function["id"] for function in first["_embedded"]["functions"]] == made[:2]
    assert first["page"] == {"size": 2, "totalElements": 5, "totalPages": 3, "number": 0}
    assert list(first["_links"]) == ["first", "self", "next", "last"]
    last = client.get(first["_links"]["last"]["href"]).json()
    assert [function["id"] for function in last["_embedded"]["functions"]] == made[4:]
    assert "next" not in last["_links"]
    beyond = client.get(FUNCTIONS, params={"size": 2, "page": 9}).json()
    assert beyond["_embedded"] == {"functions": []}
    assert list(client.get(FUNCTIONS).json()["_links"]) == ["self"]


def test_lists_are_sorted_by_several_criteria_in_either_spelling(client: httpx.Client) -> None:
    for trigger_type, name in [("a", "same"), ("c", "same"), ("b", "other")]:
        client.post(FUNCTIONS, json={"type": trigger_type, "name": name})

    def types(*sort: str) -> str:
        page = client.get(FUNCTIONS, params={"sort": list(sort)})
        return "".join(function["type"] for function in page.json()["_embedded"]["functions"])

    assert types("name", "type,desc") == "bca"
    assert types("name,type,DESC") == "cab"
    assert types("current_version_number,desc") == types("currentVersionNumber,desc") == "bca"
    assert types("id,desc") == "bca"
    link = client.get(FUNCTIONS, params={"sort": ["name", "type,desc"], "size": 1}).json()["_links"]["next"]["href"]
    assert "sort=name&sort=type%2Cdesc" in link


@pytest.mark.parametrize(
    ("query", "size", "number"),
    [
        ("size=0", 25, 0),
        ("size=-1", 25, 0),
        ("size=abc", 25, 0),
        ("size=", 25, 0),
        ("size=1e3", 25, 0),
        ("size=99999999999999999999", 25, 0),
        ("size=2001", 2000, 0),
        ("size=007", 7, 0),
        ("page=-1", 25, 0),
        ("page=abc&size=2", 2, 0),
        ("page=99999999999999999999", 25, 0),
        ("page=2147483647&size=2000", 2000, 2147483647),
        ("sort=,,", 25, 0),
        ("sort=desc", 25, 0),
    ],
)
def test_an_invalid_page_or_size_is_replaced_as_spring_does(
    client: httpx.Client, query: str, size: int, number: int
) -> None:
    new_function(client, "some.event")
    page = client.get(f"{FUNCTIONS}?{query}").json()["page"]
    assert (page["size"], page["number"], page["totalElements"]) == (size, number, 1)


@pytest.mark.parametrize(("query", "size"), [("size=0", 25), ("size=-3", 25), ("size=x", 25), ("size=5000", 2000)])
def test_an_invalid_size_of_a_cursor_list_is_replaced_in_the_same_way(
    client: httpx.Client, query: str, size: int
) -> None:
    assert client.get(f"/v1/messages?{query}").json()["page"]["size"] == size


@pytest.mark.parametrize("query", ["sort=script", "sort=id;drop", "start=x", "next=9223372036854775808"])
def test_an_invalid_sort_key_or_cursor_is_a_400(client: httpx.Client, query: str) -> None:
    path = "/v1/messages" if "sort" not in query else FUNCTIONS
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert answer.json()["explanation"]


def test_a_query_with_too_many_parameters_is_a_400(client: httpx.Client) -> None:
    assert client.get(f"{FUNCTIONS}?{'&'.join(f'a{n}=1' for n in range(201))}").status_code == 400


def test_every_response_has_the_id_of_the_database(client: httpx.Client, anyone: httpx.Client) -> None:
    named = anyone.get("/emulator/health").json()["id"]
    for answer in (client.get("/v1/application"), anyone.get("/v1/application"), anyone.get("/nothing")):
        assert answer.headers["x-ckfunc-emulator"] == named


def test_every_route_except_the_token_and_the_controls_requires_a_token(anyone: httpx.Client) -> None:
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "1", route.path)
        answer = anyone.request(route.method, f"/v1{path}", json={})
        assert answer.status_code != 500, route
        assert (answer.status_code == 401) == (route.access is Access.TOKEN), route
        assert (route.access is Access.CONTROL) == route.path.startswith("/emulator/"), route


def raw(emulator: Emulator, path: str, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    host, _, port = emulator.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "host", ["attacker.example", "127.0.0.1.attacker.example:80", "10.0.0.1", "", "localhost.example"]
)
def test_a_host_name_that_is_not_loopback_is_refused(emulator: Emulator, host: str) -> None:
    for path in ("/emulator/health", "/v1/application"):
        status, document = raw(emulator, path, {"Host": host})
        assert (status, document["error"]) == (403, "access_denied")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "app.localhost:9", "127.0.0.2:5", "[::1]:7", "[::1]"])
def test_every_loopback_host_name_is_accepted(emulator: Emulator, host: str) -> None:
    assert raw(emulator, "/emulator/health", {"Host": host})[0] == 200


def test_controls_are_only_available_to_pages_of_the_emulator(emulator: Emulator, anyone: httpx.Client) -> None:
    assert anyone.get("/emulator/health", headers={"origin": emulator.url}).status_code == 200
    for origin in ("https://attacker.example", "null", "http://localhost:1"):
        assert anyone.get("/emulator/health", headers={"origin": origin}).status_code == 403
