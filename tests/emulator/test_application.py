from __future__ import annotations

import httpx


def test_the_application_has_its_time_in_both_spellings_and_a_self_link(client: httpx.Client) -> None:
    found = client.get("/v1/application").json()
    assert found["id"] == 1
    assert found["createdTime"] == found["created_time"]
    assert found["_links"]["self"]["href"] == f"{client.base_url}/v1/applications/1".replace("//v1", "/v1")


def test_settings_are_taken_flat_or_nested_in_both_spellings(client: httpx.Client) -> None:
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


def test_settings_with_another_state_are_a_400_that_names_the_field(client: httpx.Client) -> None:
    answer = client.put("/v1/application/settings", json={"guestUsers": "ON", "userCreatedChannels": "ENABLED"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "ClientError"
    assert "guestUsers" in answer.json()["explanation"]
