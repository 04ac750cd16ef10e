"""Detection of secrets in a recorded run."""

from __future__ import annotations

from typing import Any

import pytest

from ckfunc.base.secrets import secret_values
from ckfunc.testing.redacting import Redactor

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
RANDOM = "q7Zk29XbT1mWc8RvLp4JhYs6"


def redacted(document: Any, environment: dict[str, str] | None = None) -> Any:
    redactor = Redactor(secret_values(environment or {}).items())
    redactor.learn(document, "event")
    return redactor.redacted(document)


@pytest.mark.parametrize(
    "document",
    [
        {"authParams": {"anything": "at all", "deep": [{"x": "hidden away"}]}},
        {"auth_params": {"anything": "hidden away"}},
        {"token": "hidden away"},
        {"clientSecret": "hidden away"},
        {"Authorization": "hidden away"},
        {"x-api-key": "hidden away"},
        {"API_KEY": "hidden away"},
        {"password": ["hidden away"]},
        {"credentials": {"user": "hidden away"}},
        {"sessionCookie": "hidden away"},
        {"body": f"Bearer {JWT} is mine"},
        {"body": f"use {RANDOM} today"},
        {"body": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"},
        {"body": "sk-proj-q7Zk29XbT1mWc8RvLp4JhYs6"},
        {"url": "https://user:hidden-away@example.com/x"},
        {"url": "https://example.com/x?size=5&token=hidden-away&page=1"},
        {"url": "postgres://a:4711@db.example.com/x and then https://example.com/?page=2&sig=4711"},
        {"body": "curl https://example.com/hook?key=4711&X-Amz-Signature=4711 -d pwd=4711"},
        {"pass": "hidden away", "X-Auth": "hidden away", "dbPwd": "hidden away", "sid": "hidden away"},
        {"id": "19b458d0-2b50-491c-8f13-65ec12f3978e"},
        {"authParams": {"pin": 4711}},
        {"password": 4711},
    ],
)
def test_apparent_secrets_are_replaced(document: Any) -> None:
    text = repr(redacted(document))
    hidden = ("hidden", "at all", JWT, RANDOM, "9f86d0", "19b458d0", "4711")
    assert not [secret for secret in hidden if secret in text], text


@pytest.mark.parametrize(
    "document",
    [
        {"username": "jane@example.com", "body": "How do I reset my password?", "id": 12345678901},
        {
            "url": "https://api.chatkitty.com/v1/applications/1/channels/17/messages",
            "createdTime": "2026-01-15T09:30:00.125Z",
        },
        {"type": "user.attempted.start_session", "name": "a-rather-long-name-of-a-channel-in-english-words"},
        {"url": "https://example.com/?monkey=banana&page=4711", "passenger": "Jane", "compass": "north", "author": "J"},
        {"usage": {"totalTokens": 12}, "authParams": {}, "token": "", "secret": None, "hasPassword": True},
        {"path": "/support/questions/2026/january/answered", "word": "Donaudampfschifffahrtsgesellschaft"},
        {"body": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "digits": "12345678901234567890"},
    ],
)
def test_values_that_are_not_secrets_are_unchanged(document: Any) -> None:
    assert redacted(document) == document


def test_an_environment_value_is_found_in_url_and_base64_encoding() -> None:
    document = {
        "a": "x?code=sesame%2B1%20x&y",
        "b": "c2VzYW1lKzEgeA==",
        "c": ["is sesame+1 x"],
        "short": "YWJj",
    }
    assert redacted(document, {"CODE": "sesame+1 x", "SHORT": "abc"}) == {
        "a": "x?code=redacted-1&y",
        "b": "redacted-2==",
        "c": ["is redacted-3"],
        "short": "YWJj",
    }


def test_equal_secrets_have_equal_placeholders_everywhere() -> None:
    event = {"authParams": {"code": "open sesame", "name": "Jane"}, "username": "Jane"}
    outcome = {"error": "open sesame is not the code", "a": {"open sesame": "Janet"}}
    redactor = Redactor(())
    redactor.learn(event, "event")
    redactor.learn(outcome, "expect")
    assert redactor.redacted(event) == {
        "authParams": {"code": "redacted-1", "name": "redacted-2"},
        "username": "redacted-2",
    }
    assert redactor.redacted(outcome) == {"error": "redacted-1 is not the code", "a": {"redacted-1": "Janet"}}
    assert [(redaction.place, redaction.reason) for redaction in redactor.redactions] == [
        ("event.authParams.code", "its name is authParams"),
        ("event.authParams.name", "its name is authParams"),
    ]


def test_placeholders_have_the_format_of_the_replaced_values() -> None:
    params = {
        "mail": "jane@example.com",
        "pin": "0042",
        "key": "19b458d0-2b50-491c-8f13-65ec12f3978e",
        "n": 7,
        "on": True,
    }
    assert redacted({"authParams": params}) == {
        "authParams": {
            "mail": "redacted-1@example.com",
            "pin": "0002",
            "key": "00000000-0000-4000-8000-000000000003",
            "n": 0,
            "on": True,
        }
    }


def test_values_of_environment_variables_are_replaced_and_the_variables_reported() -> None:
    redactor = Redactor(
        secret_values(
            {"STAFF_CODE": "0042", "DESK": "front desk", "DEBUG": "true", "N": "1", "UNUSED": "not there"}
        ).items()
    )
    event = {"code": "0042", "text": "ask at the front desk", "debug": "true", "n": "1", "x": "00420"}
    redactor.learn(event, "event")
    assert redactor.redacted(event) == {
        **{"code": "0001", "text": "ask at the redacted-2", "debug": "true", "n": "1", "x": "00420"},
    }
    assert redactor.variables == {"DESK": "redacted-2", "STAFF_CODE": "0001"}
    assert [(redaction.place, redaction.reason) for redaction in redactor.redactions] == [
        ("event.code", "the value of STAFF_CODE"),
        ("event.text", "the value of DESK"),
    ]


def test_platform_credentials_are_replaced_without_a_variable_and_addresses_unchanged() -> None:
    environment = {
        "CHATKITTY_CHAT_SERVICE_BASE_URL": "http://127.0.0.1:4310",
        "CHATKITTY_APPLICATION_ID": "123456",
        "CHATKITTY_CLIENT_SECRET": "the-s3cret-of-the-test",
        "OWN": "the-own-value",
    }
    redactor = Redactor(secret_values(environment).items())
    document = {
        "href": "http://127.0.0.1:4310/v1/applications/123456",
        "body": "the-s3cret-of-the-test",
        "own": "the-own-value",
    }
    redactor.learn(document, "event")
    made = redactor.redacted(document)
    assert made["href"] == document["href"]
    assert "s3cret" not in made["body"]
    assert list(redactor.variables) == ["OWN"]


def test_the_documented_secret_of_emulators_is_not_replaced() -> None:
    assert redacted({"body": "the emulator"}, {"CHATKITTY_CLIENT_SECRET": "emulator"}) == {"body": "the emulator"}
