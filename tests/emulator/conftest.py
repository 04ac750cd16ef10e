"""A real emulator on loopback, and a client that has signed in to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    running = cold_emulator(tmp_path / "emulator")
    running.start()
    yield running
    running.stop()


def sign_in(client: httpx.Client, secret: str = "emulator") -> str:
    answer = client.post("/oauth/token", auth=("emulator", secret), data={"grant_type": "client_credentials"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture
def anyone(emulator: Emulator) -> Iterator[httpx.Client]:
    """Calls without a token."""
    with http_client(emulator.url) as made:
        yield made


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    """Calls the Platform API as the vendor's platform SDK does: signed in, at /v1, in camelCase."""
    with http_client(emulator.url) as made:
        made.headers["authorization"] = f"Bearer {sign_in(made)}"
        yield made


@pytest.fixture
def database(emulator: Emulator, tmp_path: Path) -> Iterator[Database]:
    """The database of the running emulator, for data that the Platform API cannot create."""
    opened = open_database(tmp_path / "emulator" / "emulator.db", SCHEMA, MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def room(client: httpx.Client) -> dict[str, int]:
    """Create a public channel with id 1 and the members ann, bob and cy, and the user dee; return user ids by name."""
    ids = {}
    for name in ("ann", "bob", "cy", "dee"):
        made = client.post("/v1/users", json={"name": name, "displayName": name.title(), "isGuest": False})
        ids[name] = made.json()["id"]
    body = {"type": "PUBLIC", "name": "p", "members": [{"username": name} for name in ("ann", "bob", "cy")]}
    assert client.post("/v1/channels", json=body).json()["id"] == 1
    return ids
