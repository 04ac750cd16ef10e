"""The page of faults, and affected requests on the page of requests."""

from __future__ import annotations

import re

import httpx
import pytest
from support.calls import function


@pytest.fixture
def web(client: httpx.Client, form_key: str) -> httpx.Client:
    """A browser that sends the key of the dashboard's pages with its forms."""
    client.headers["x-form-key"] = form_key
    return client


def rows(web: httpx.Client) -> list[str]:
    """Return the texts of the rows of the list."""
    body = web.get("/ui/faults").text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.sub(r"(?:<[^>]+>|\s)+", " ", row).strip() for row in body.split("</tr>")[:-1]]


def test_faults_are_added_listed_and_removed(web: httpx.Client) -> None:
    assert "No faults" in web.get("/ui/faults").text
    form = {"operation": "createUser", "answer": "429", "retry-after": "5", "delay": "", "rate": "", "first": "2"}
    assert web.post("/ui/faults", data=form).headers["location"] == "/ui/faults"
    web.post("/ui/faults", data={"operation": "", "answer": "lost", "delay": "20", "rate": "12.5"})
    web.post("/ui/faults", data={"answer": "normal", "delay": "10", "operation": "listUsers"})
    assert web.post("/v1/users", json={}).status_code == 429
    assert rows(web) == [
        "1 createUser 429 with Retry-After 5 s first 2 requests 1 of 1 Remove",
        "2 All delay of 20 ms, response lost 12.5% of requests 0 of 0 Remove",
        "3 listUsers delay of 10 ms all requests 0 of 0 Remove",
    ]
    assert web.post("/ui/faults/2/remove").status_code == 303
    assert web.post("/ui/faults/2/remove").status_code == 404
    assert [row[0] for row in rows(web)] == ["1", "3"]
    web.post("/ui/faults/clear")
    assert rows(web) == []


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"answer": "normal"}, "needs a status, a delay or a lost response"),
        ({"answer": "404"}, "it must be 429 or from 500 to 599"),
        ({"answer": "500", "operation": "createUsr"}, "did you mean"),
        ({"answer": "500", "rate": "x"}, "rate: &#39;x&#39; is not a number"),
        ({"answer": "500", "rate": "nan"}, "the rate is nan%"),
        ({"answer": "500", "delay": "-1"}, "delay: &#39;-1&#39; is not a whole number"),
        ({"answer": "500", "rate": "5", "first": "5"}, "used together"),
    ],
)
def test_a_mistake_in_the_fault_form_is_explained(web: httpx.Client, form: dict[str, str], message: str) -> None:
    answer = web.post("/ui/faults", data=form)
    assert answer.status_code == 400
    assert message in answer.text
    assert rows(web) == []


def test_the_fault_form_requires_the_form_key(anyone: httpx.Client) -> None:
    for path in ("/ui/faults", "/ui/faults/clear", "/ui/faults/1/remove"):
        assert anyone.post(path, data={"answer": "500"}).status_code == 403


def test_affected_requests_are_marked(web: httpx.Client) -> None:
    web.post("/ui/faults", data={"answer": "503", "first": "1"})
    web.post("/ui/faults", data={"answer": "lost", "first": "1"})
    web.get("/v1/users")
    with pytest.raises(httpx.RemoteProtocolError):
        web.get("/v1/channels")
    web.get("/v1/messages")
    requests = web.get("/ui/requests?failed=yes").text
    assert re.findall(r"fault: ([^<]+)<", requests) == ["response lost", "503"]
    assert ">no answer<" in requests
    assert "/v1/messages" not in requests


def test_pages_work_while_every_request_fails(web: httpx.Client) -> None:
    function(web, "some.event")
    web.post("/ui/faults", data={"answer": "500"})
    for path in ("/", "/ui/functions/1", "/ui/users", "/ui/runtime", "/ui/faults"):
        answer = web.get(path)
        assert answer.status_code == 200
        assert '<span class="count" title="Active faults">1</span>' in answer.text
    web.post("/ui/faults/clear")
    assert 'class="count"' not in web.get("/").text
