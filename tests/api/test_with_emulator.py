"""The client with the real emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.emulators import cold_emulator

from ckfunc.api import Client, Connection, emulator
from ckfunc.base.errors import CredentialsRejected, NotFound, RequestRejected, Unreachable
from ckfunc.base.secrets import Secret, revealed, secret_values
from ckfunc.model.application import ApplicationSettings, NewFunction, Status
from ckfunc.wire.dialects import Dialect

HELLO = "async function handleEvent(event: any, context: any) { console.log('hi', event.username); return [event.n]; }"


@pytest.fixture
def url() -> Iterator[str]:
    running = cold_emulator(None)
    yield running.start()
    running.stop()


def connect(url: str, secret: str = "emulator") -> Client:
    return Client(Connection(url, f"{url}/oauth/token", "emulator", Secret(secret)))


@pytest.mark.parametrize("dialect", list(Dialect))
def test_every_operation_works_against_the_emulator_in_both_dialects(url: str, dialect: Dialect) -> None:
    with connect(url) as client:
        runtime = client.runtime()
        client.session.prefer(dialect)
        assert runtime.application_id == client.application().id == 1
        assert client.identity == f"emulator#1#{client.emulator_id}"
        assert client.emulator_id == emulator.health(client)["id"]
        assert (
            client.update_settings(ApplicationSettings(guest_users=False))
            == ApplicationSettings(guest_users=False)
            == client.settings()
        )
        assert revealed(
            client.update_environment(secret_values({"snake_name": "1", "camelName": "2"})).own_environment()
        ) == {
            "snake_name": "1",
            "camelName": "2",
        }
        assert client.update_dependencies({}).own_dependencies() == {}
        assert client.update_initialization_script("export const n = 1;").initialization_script == "export const n = 1;"
        assert client.functions() == ()
        made = client.create_function(NewFunction("user.sent.message", "Sent", "Told"))
        assert (made.enabled, made.current_version_number, made.description) == (False, 0, "Told")
        first = client.create_version(made.id, HELLO)
        second = client.create_version(made.id, HELLO + "//")
        assert client.current_version(made.id) == client.version(second.id) == second
        assert list(client.versions(made.id)) == [second, first]
        assert client.function(made.id).enabled
        emulator.set_enabled(client, made.id, False)
        assert [function.enabled for function in client.functions()] == [False]
        assert client.invocations(made.id).items == ()


def test_a_second_function_of_a_type_is_refused_with_the_emulators_message(url: str) -> None:
    with connect(url) as client:
        client.create_function(NewFunction("user.sent.message", "Sent"))
        with pytest.raises(RequestRejected, match=r"creating the function user\.sent\.message") as caught:
            client.create_function(NewFunction("user.sent.message", "Sent"))
        assert ": " in caught.value.message.split("400", 1)[1]
        with pytest.raises(NotFound, match="function 999"):
            client.function(999)


def test_wrong_credentials_are_an_error(url: str) -> None:
    with connect(url, "wrong-s3cret") as client, pytest.raises(CredentialsRejected) as caught:
        client.runtime()
    assert "wrong-s3cret" not in caught.value.message


def test_an_event_runs_in_node_and_leaves_an_invocation_with_its_console_output(url: str) -> None:
    with connect(url) as client:
        made = client.create_function(NewFunction("user.sent.message", "Sent"))
        client.create_version(made.id, HELLO)
        answer = emulator.trigger(client, "user.sent.message", {"username": "jane", "n": 5})
        assert answer["invocation"]["status"] == "SUCCEEDED"
        row = client.invocations(made.id).items[0]
        assert (row.status, row.result, row.args["username"]) == (Status.SUCCEEDED, {"payload": [5]}, "jane")
        detail = emulator.invocation_details(client, [row.id, 12345])[row.id]
        assert [line.text for line in detail.console] == ["hi jane"]
        assert detail.duration_ms is not None


def test_an_application_with_a_new_address_is_found_and_nothing_is_sent_twice() -> None:
    first, second = cold_emulator(None), cold_emulator(None)
    asked: list[str] = []

    def moved() -> Connection | None:
        asked.append("where?")
        return Connection(later, f"{later}/oauth/token", "emulator", Secret("emulator"))

    before = first.start()
    with Client(Connection(before, f"{before}/oauth/token", "emulator", Secret("emulator")), moved=moved) as client:
        known = client.emulator_id, client.runtime(), client.emulator_id
        first.stop()
        later = second.start()
        try:
            # A POST is sent to the new address, because it was never sent to the old one.
            made = client.create_function(
                NewFunction("user.sent.message", "Said", None, initialize_asynchronously=False)
            )
            assert [function.id for function in client.functions()] == [made.id]
            assert client.connection.api_url == later
            assert client.emulator_id != known[2]
            assert asked == ["where?"]
        finally:
            second.stop()


def test_an_application_without_a_new_address_is_unreachable() -> None:
    gone = cold_emulator(None)
    url = gone.start()
    with Client(Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator")), moved=lambda: None) as client:
        client.runtime()
        gone.stop()
        with pytest.raises(Unreachable, match="no server is listening"):
            client.runtime()
