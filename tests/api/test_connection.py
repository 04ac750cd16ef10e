"""Addresses and credentials from the environment."""

from __future__ import annotations

import pytest

from ckfunc.api.connection import (
    API_URL,
    AUTHORIZATION_URL,
    Connection,
    InvalidAddress,
    checked_address,
    connection_from_environment,
    is_loopback,
)
from ckfunc.base.errors import ApiFailure, CredentialsMissing
from ckfunc.base.secrets import Secret

GIVEN = {"CHATKITTY_CLIENT_ID": "id", "CHATKITTY_CLIENT_SECRET": "s3cret-value"}


def test_the_default_addresses_are_those_of_the_platform() -> None:
    made = connection_from_environment({**GIVEN, "CHATKITTY_API_URL": " "})
    assert (made.api_url, made.authorization_url) == (API_URL, AUTHORIZATION_URL)


def test_trailing_slashes_of_addresses_in_the_environment_are_removed() -> None:
    made = connection_from_environment(
        {
            **GIVEN,
            "CHATKITTY_API_URL": "http://127.0.0.1:4310//",
            "CHATKITTY_AUTHORIZATION_URL": "https://auth.example/x/",
        }
    )
    assert (made.api_url, made.authorization_url) == ("http://127.0.0.1:4310", "https://auth.example/x")


def test_white_space_around_credentials_is_removed() -> None:
    made = connection_from_environment({"CHATKITTY_CLIENT_ID": " id\n", "CHATKITTY_CLIENT_SECRET": "secret\n"})
    assert (made.client_id, made.client_secret) == ("id", Secret("secret"))


def test_the_secret_is_not_in_the_repr() -> None:
    assert "s3cret-value" not in repr(connection_from_environment(GIVEN))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, ("CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET", "are not set")),
        ({"CHATKITTY_CLIENT_ID": "id"}, ("CHATKITTY_CLIENT_SECRET is not set",)),
        ({"CHATKITTY_CLIENT_SECRET": "x", "CHATKITTY_CLIENT_ID": " "}, ("CHATKITTY_CLIENT_ID is not set",)),
    ],
)
def test_missing_credentials_are_named_with_a_hint(environ: dict[str, str], named: tuple[str, ...]) -> None:
    with pytest.raises(CredentialsMissing) as caught:
        connection_from_environment(environ)
    assert all(part in caught.value.message for part in named)
    assert caught.value.hint and "dashboard" in caught.value.hint


@pytest.mark.parametrize(("client_id", "secret"), [("a:b", "x"), ("a\nb", "x"), ("a", "x\x00y")])
def test_credentials_that_are_invalid_in_http_are_refused_and_not_shown(client_id: str, secret: str) -> None:
    with pytest.raises(CredentialsMissing) as caught:
        Connection(API_URL, AUTHORIZATION_URL, client_id, Secret(secret))
    assert secret not in caught.value.message.split()


@pytest.mark.parametrize(
    "address",
    [
        "https://api.chatkitty.com",
        "https://[2001:db8::1]:8443/base",
        "http://localhost:4310",
        "http://127.0.0.1",
        "http://127.9.8.7:1",
        "http://[::1]:4310",
        "HTTP://LOCALHOST:1",
    ],
)
def test_https_and_loopback_http_are_accepted(address: str) -> None:
    assert checked_address(address, "X") == address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://api.chatkitty.com", "unencrypted"),
        ("http://127.0.0.1.example.com", "unencrypted"),
        ("http://localhost.example.com", "unencrypted"),
        ("http://0x7f.1", "unencrypted"),
        ("http://0.0.0.0", "unencrypted"),
        ("ftp://127.0.0.1", "not an http or https"),
        ("file:///etc/passwd", "without a host|with a host"),
        ("127.0.0.1:4310", "does not start with https"),
        ("https://", "with a host"),
        ("https://a b.example", "space"),
        ("https://a.example\\@b", "backslash"),
        ("https://a.example/\nx", "control"),
        ("https://a.example:99999", "not an address"),
        ("https://a.example:0", "with a host"),
        ("https://[::1", "not an address"),
        ("https://a.example/?x=1", "query"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/?", "query"),
    ],
)
def test_other_addresses_are_refused_with_the_reason(address: str, reason: str) -> None:
    with pytest.raises(InvalidAddress, match=reason) as caught:
        checked_address(address, "CHATKITTY_API_URL")
    assert "CHATKITTY_API_URL" in caught.value.message
    assert caught.value.hint
    assert isinstance(caught.value, ApiFailure)


@pytest.mark.parametrize(
    "address", ["https://me:hunter2@api.example", "http://127.0.0.1:hunter2@evil.example", "https://@x"]
)
def test_an_address_with_a_password_is_refused_and_not_quoted(address: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        checked_address(address, "CHATKITTY_API_URL")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_only_names_of_this_machine_are_loopback() -> None:
    assert [
        host for host in ("localhost", "LocalHost", "127.0.0.1", "::1", "10.0.0.1", "", "local") if is_loopback(host)
    ] == [
        "localhost",
        "LocalHost",
        "127.0.0.1",
        "::1",
    ]
