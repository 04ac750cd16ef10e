"""Messages and hints for error responses of the platform."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from ckfunc.api.answers import document, explanation, failure
from ckfunc.api.transport import Answer
from ckfunc.base.errors import (
    ApiFailure,
    CredentialsRejected,
    NotFound,
    RequestRejected,
    ServiceTrouble,
    UnreadableAnswer,
)
from ckfunc.base.secrets import Masker, Secret
from ckfunc.base.text import shortened


def answer(status: int, body: object, kind: str = "application/json") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": kind}, data)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, UnreadableAnswer),
        (400, RequestRejected),
        (401, CredentialsRejected),
        (403, CredentialsRejected),
        (404, NotFound),
        (409, RequestRejected),
        (415, RequestRejected),
        (429, ServiceTrouble),
        (500, ServiceTrouble),
        (503, ServiceTrouble),
        (599, ServiceTrouble),
    ],
)
def test_every_error_status_has_a_message_and_a_hint(status: int, kind: type[ApiFailure]) -> None:
    made = failure(answer(status, {"message": "Because."}), "GET", "function 12", "api.example")
    assert type(made) is kind
    assert made.status == status
    assert "reading function 12" in made.message
    assert made.hint
    assert ("Because." in made.message) == (status != 302)


def test_a_network_that_requires_a_login_is_named() -> None:
    page = b"<!DOCTYPE html><title>Welcome to Hotel Wifi</title>"
    required = failure(answer(511, page, "text/html"), "GET", "the runtime", "api.example")
    assert required.message == "reading the runtime: the network requires a login (511)"
    with pytest.raises(UnreadableAnswer) as caught:
        document(answer(200, page, "text/html"), "reading the runtime", "api.example")
    redirect = failure(answer(302, page, "text/html"), "GET", "the runtime", "api.example")
    for problem in (required, caught.value, redirect):
        assert problem.hint and "log in to this network" in problem.hint


def test_a_broken_document_does_not_suggest_a_login() -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        document(answer(200, b"{"), "reading the runtime", "api.example")
    assert caught.value.hint and "log in" not in caught.value.hint


def test_codes_are_shown_only_without_a_message_and_an_explanation() -> None:
    assert (
        explanation(b'{"error":"ClientError","message":"No.","explanation":"The name is taken."}')
        == "No.; The name is taken."
    )
    assert explanation(b'{"error":"access_denied","error_description":"Access is denied"}') == "Access is denied"
    assert explanation(b'{"error":"ClientError","message":"Same","explanation":"Same"}') == "Same"
    assert explanation(b'{"error":"ClientError"}') == "ClientError"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b'{"message": 5}', b"\xff", b"[" * 100_000])
def test_a_body_without_text_has_no_explanation(body: bytes) -> None:
    assert explanation(body) == ""


def test_the_platforms_messages_are_sanitized_and_shortened() -> None:
    text = explanation(json.dumps({"message": "\x1b[2J\x1b]0;x\x07a\r\nb\u202e" + "c" * 10_000}).encode())
    assert text.startswith("a b")
    assert text.endswith("…")
    assert len(text) == 500
    assert text.replace("…", "").isprintable()


def test_secrets_that_the_platform_quotes_are_masked() -> None:
    quoted = answer(400, {"message": "variable KEY has a bad value sk-123 and sk-12"})
    made = failure(quoted, "PUT", "the environment", "api", tuple(map(Secret, ("sk-12", "sk-123", ""))))
    assert "sk-1" not in made.message
    assert "variable KEY has a bad value •••• " in made.message
    assert Masker(())("nothing") == "nothing"


@pytest.mark.parametrize(
    "quoted",
    [
        "{secret}",
        '{{"KEY": {json}}}',
        "x" * 490 + "{secret}",
        "/path?key={url}",
        "  {secret}  \t {json}",
    ],
)
@pytest.mark.parametrize("secret", ['a "quoted" <é>\\ s3cret', "-----BEGIN-----\n s3cret  s3cret\n-----END-----\n"])
def test_secrets_are_masked_in_every_form(quoted: str, secret: str) -> None:
    text = quoted.format(secret=secret, json=json.dumps(secret), url=quote(secret))
    for made in (
        failure(answer(400, {"message": text}), "PUT", "the environment", "api", (Secret(secret),)).message,
        Masker((Secret(secret),))(text),
        Masker((Secret(secret),))(" ".join(text.split())),
    ):
        assert "s3cret" not in made and "••••" in made
    with pytest.raises(UnreadableAnswer) as caught:
        document(answer(200, f"<{text}".encode(), f"text/{secret}"), "reading", "api", (Secret(secret),))
    assert "s3cret" not in caught.value.message


def test_equal_secrets_have_the_same_mask() -> None:
    first, second = Masker((Secret("aa"),))("aa-aa").split("-")
    assert first == second


def test_json_is_read_with_any_content_type() -> None:
    assert document(answer(200, {"a": 1}, "text/plain"), "reading", "api") == {"a": 1}


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        (b"<html>\x1b[31m<title>Sign in</title>", "text/html", "(text/html): <html><title>Sign in</title>"),
        (b"", "application/json", "an empty body (application/json)"),
        (b"  \n", "", "an empty body (no content type)"),
        (b"\xff\xfe garbage", "a/b\x1b[0m", "(a/b): "),
        (b"x" * 5000, "text/plain", "x" * 79 + "…"),
    ],
)
def test_a_response_that_is_not_json_is_described_with_an_excerpt(body: bytes, kind: str, shown: str) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        document(answer(200, body, kind), "reading the runtime", "api.example")
    assert shown in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("body", [b'{"environmentVariables": {"KEY": "sk-123"', b"[" * 200_000, b'  {"a": sk-123}'])
def test_invalid_json_is_never_quoted(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        document(answer(200, body), "reading the runtime", "api.example")
    assert "sk-123" not in caught.value.message
    assert "invalid or truncated JSON" in caught.value.message


def test_shortened_text_ends_with_an_ellipsis() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
