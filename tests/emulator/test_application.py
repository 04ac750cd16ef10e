"""The application and its settings, and the token endpoint."""

from __future__ import annotations

import httpx
import pytest
from emulator.conftest import sign_in


def test_the_application_has_its_creation_time_in_both_spellings_and_a_self_link(client: httpx.Client) -> None:
    found = client.get("/v1/application").json()
    assert found["id"] == 1
    assert found["createdTime"] == found["created_time"]
    assert found["_links"]["self"]["href"] == f"{client.base_url}/v1/applications/1".replace("//v1", "/v1")


def test_settings_are_accepted_flat_or_nested_in_both_spellings(client: httpx.Client) -> None:
    assert client.get("/v1/application/settings").json()["guestUsers"] == "ENABLED"
    flat = client.put("/v1/application/settings", json={"guest_users": "DISABLED", "user_created_channels": "ENABLED"})
    assert flat.json()["guestUsers"] == "DISABLED"
    nested = {"features": {"guestUsers": "ENABLED", "userCreatedChannels": "DISABLED"}}
    answer = client.put("/application/settings", json=nested, headers={"accept": "application/vnd.chatkitty+json"})
    assert answer.json() == {
        "guest_users": "ENABLED",
        "user_created_channels": "DISABLED",
        "features": {"guest_users": "ENABLED", "user_created_channels": "DISABLED"},
    }
    assert client.get("/v1/application/settings").json()["features"]["guest_users"] == "ENABLED"


def test_an_unknown_state_in_the_settings_is_a_400_that_names_the_field(client: httpx.Client) -> None:
    answer = client.put("/v1/application/settings", json={"guestUsers": "ON", "userCreatedChannels": "ENABLED"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "ClientError"
    assert "guestUsers" in answer.json()["explanation"]


GRANT = {"grant_type": "client_credentials"}


def test_http_basic_credentials_get_a_token_for_the_api(anyone: httpx.Client) -> None:
    answer = anyone.post("/oauth/token", auth=("emulator", "emulator"), data=GRANT)
    document = answer.json()
    assert document["token_type"] == "bearer"
    assert document["expires_in"] == 12 * 3600
    assert answer.headers["cache-control"] == "no-store"
    opened = anyone.get("/v1/application", headers={"authorization": f"Bearer {document['access_token']}"})
    assert opened.status_code == 200


def test_a_multipart_form_is_accepted_as_sent_by_the_vendors_sdks(anyone: httpx.Client) -> None:
    answer = anyone.post(
        "/oauth/token", auth=("emulator", "emulator"), files={"grant_type": (None, "client_credentials")}
    )
    assert answer.status_code == 200


def test_credentials_can_be_in_the_form(anyone: httpx.Client) -> None:
    form = {**GRANT, "client_id": "emulator", "client_secret": "emulator"}
    assert anyone.post("/oauth/token", data=form).status_code == 200


@pytest.mark.parametrize(
    "credentials", [("emulator", "wrong"), ("other", "emulator"), ("", ""), ("emulator", "emulatör")]
)
def test_wrong_credentials_are_an_invalid_client(anyone: httpx.Client, credentials: tuple[str, str]) -> None:
    answer = anyone.post("/oauth/token", auth=credentials, data=GRANT)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize("header", ["Basic !!!", "Basic", "Basic /w==", "Digest x"])
def test_unreadable_credentials_are_an_invalid_client(anyone: httpx.Client, header: str) -> None:
    answer = anyone.post("/oauth/token", headers={"authorization": header}, data=GRANT)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_unknown_grant_type_is_unsupported_and_a_missing_one_is_invalid(anyone: httpx.Client) -> None:
    other = anyone.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "password"})
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
    none = anyone.post("/oauth/token", auth=("emulator", "emulator"))
    assert (none.status_code, none.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "header", [None, "Bearer", "bearer unknown", "Bearer unknown", "Basic ZW11bGF0b3I6ZW11bGF0b3I="]
)
def test_a_request_without_a_valid_token_is_a_401_as_documented(anyone: httpx.Client, header: str | None) -> None:
    answer = anyone.get("/v1/application", headers={} if header is None else {"authorization": header})
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "unauthorized",
        "error_description": "Full authentication is required to access this resource",
    }


def test_tokens_expire_after_the_configured_lifetime(anyone: httpx.Client) -> None:
    assert anyone.put("/emulator/token-lifetime", json={"seconds": 0}).status_code == 200
    expired = sign_in(anyone)
    assert anyone.get("/v1/application", headers={"authorization": f"Bearer {expired}"}).status_code == 401
    anyone.put("/emulator/token-lifetime", json={"seconds": 60})
    fresh = sign_in(anyone)
    assert anyone.get("/v1/application", headers={"authorization": f"Bearer {fresh}"}).status_code == 200
    assert anyone.put("/emulator/token-lifetime", json={"seconds": 60, "revoke": True}).status_code == 200
    assert anyone.get("/v1/application", headers={"authorization": f"Bearer {fresh}"}).status_code == 401


def test_a_negative_token_lifetime_is_refused(anyone: httpx.Client) -> None:
    assert anyone.put("/emulator/token-lifetime", json={"seconds": -1}).status_code == 400
