"""Round trips of the platform's sample documents, in both spellings."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from support import wire

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.secrets import revealed
from ckfunc.model.application import NewFunction
from ckfunc.wire import applications, channels, dialects, jobs, links, messages, users
from ckfunc.wire.dialects import Dialect, canonical, dialect_of, spelled
from ckfunc.wire.links import Links

GOLDEN = Path(__file__).parent.parent / "golden"
DOCUMENTS = sorted((GOLDEN / "platform").glob("*.json"))
REQUESTS = json.loads((GOLDEN / "platform-requests.json").read_text(encoding="utf-8"))
LINKS = Links("https://api.chatkitty.com", 1)
SPELLINGS = [Dialect.CAMEL, Dialect.SNAKE]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")

SINGLE: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Links], Any]]] = {
    "application": (applications.read_application, applications.write_application),
    "settings": (applications.read_settings, lambda settings, _: applications.write_settings(settings)),
    "runtime": (applications.read_runtime, applications.write_runtime),
    "function": (
        applications.read_function,
        lambda function, links: applications.write_function(function, 1, "v0.0.29", links),
    ),
    "version": (applications.read_version, applications.write_version),
    "invocation": (applications.read_invocation, applications.write_invocation),
    "user": (users.read_user, users.write_user),
    "channel": (channels.read_channel, channels.write_channel),
    "message": (messages.read_message, messages.write_message),
    "notification": (wire.read_notification, channels.write_notification),
    "thread": (wire.read_thread, channels.write_thread),
    "event": (channels.read_event, channels.write_event),
    "membership": (wire.read_membership, channels.write_membership),
    "invite": (wire.read_invite, channels.write_invite),
    "receipt": (wire.read_receipt, channels.write_receipt),
    "user_session": (wire.read_user_session, users.write_user_session),
    "chat_session": (wire.read_chat_session, users.write_chat_session),
    "job": (wire.read_job, jobs.write_job),
    "secret": (users.read_secret, lambda secret, _: users.write_secret(secret)),
}
EMBEDDED = {"user_sessions": "sessions", "chat_sessions": "sessions"}
CURSOR_LISTS = ("messages", "notifications")


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if loaded["resource"] == "receipts":
        # The sample's page has the size 1, but its link has the size 25.
        loaded["camel"]["page"]["size"] = loaded["snake"]["page"]["size"] = 25
    return loaded


def written(resource: str, document: Any) -> Any:
    """Read a document and write it again, in canonical spelling."""
    if resource in SINGLE:
        read, write = SINGLE[resource]
        return write(read(document), LINKS)
    read, write = SINGLE[resource.removesuffix("s")]
    address = urlsplit(document["_links"]["self"]["href"])
    href = address._replace(query="").geturl()
    rest = [pair for pair in parse_qsl(address.query) if pair[0] not in ("page", "size", "start", "next", "relation")]
    if resource in CURSOR_LISTS:
        cursor_page = wire.read_cursor_page(document, resource, read)
        return links.write_cursor_page(
            resource, cursor_page, [write(item, LINKS) for item in cursor_page.items], href, rest
        )
    name = EMBEDDED.get(resource, resource)
    page = links.read_page(document, name, read)
    return links.write_page(name, page, [write(item, LINKS) for item in page.items], href, rest)


def always_sent(document: Any) -> Any:
    """Add the fields that schemas require to a canonical sample, and milliseconds to its times."""
    if isinstance(document, list):
        return [always_sent(value) for value in document]
    if isinstance(document, str) and _TIME.fullmatch(document):
        return timestamp(parse_timestamp(document))
    if not isinstance(document, dict):
        return document
    made = {name: value if name == "_links" else always_sent(value) for name, value in document.items()}
    if "presence" in made:
        made.setdefault("isGuest", False)
    if made.get("type") in ("TEXT", "FILE", "SYSTEM_TEXT", "SYSTEM_FILE"):
        made.setdefault("nestedLevel", 0)
    if "title" in made:
        made.setdefault("muted", False)
    if "key" in made:
        # Samples have created_time in documents that are otherwise in camelCase; schemas have createdTime.
        made["created_time"] = made.setdefault("createdTime", made.get("created_time"))
    if "features" in made:
        switches = {"guest_users": made["guestUsers"], "user_created_channels": made["userCreatedChannels"]}
        made["features"] = switches
    if set(made.get("page", ())) == {"size"}:
        # The cursor as strings, which is not in the samples, but in the schemas of both clients.
        cursor = dict(parse_qsl(urlsplit(made["_links"]["next"]["href"]).query))
        made["page"] = {**made["page"], "start": cursor["start"], "next": cursor["next"]}
    return made


def expected(document: Any, dialect: Dialect) -> Any:
    document = copy.deepcopy(document)
    if "features" in document:
        document = {**canonical(document["features"]), **document}
    return spelled(always_sent(canonical(document)), dialect)


@pytest.mark.parametrize("dialect", SPELLINGS)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_sample_document_survives_a_round_trip(path: Path, dialect: Dialect) -> None:
    golden = load(path)
    sample = golden[dialect.value]
    assert spelled(written(golden["resource"], sample), dialect) == expected(sample, dialect)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_both_spellings_of_a_sample_are_read_as_equal(path: Path) -> None:
    golden = load(path)
    resource = golden["resource"]
    assert written(resource, golden["camel"]) == written(resource, golden["snake"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_sample_is_respelled_according_to_the_schemas(path: Path) -> None:
    golden = load(path)
    assert spelled(canonical(golden["camel"]), Dialect.SNAKE) == golden["snake"]


@pytest.mark.parametrize("dialect", SPELLINGS)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_the_spelling_of_a_sample_is_recognised(path: Path, dialect: Dialect) -> None:
    golden = load(path)
    if golden["resource"] in ("application", "settings", "event", "secret"):
        pytest.skip("two of the samples mix the spellings, and two have no name with two of them")
    assert dialect_of(golden[dialect.value]) is dialect


def test_generated_pictures_have_the_urls_of_the_samples() -> None:
    seen = 0
    for path in DOCUMENTS:
        for user in _users_in(load(path)["camel"]):
            if user["displayName"] == "Jane Doe":
                continue  # the only sample whose picture does not belong to its display name
            assert LINKS.picture(user["displayName"]) == user["displayPictureUrl"]
            seen += 1
    assert seen > 20


def _users_in(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, list):
        return [user for value in document for user in _users_in(value)]
    if not isinstance(document, dict):
        return []
    inside = [user for value in document.values() for user in _users_in(value)]
    return [*inside, document] if "displayPictureUrl" in document else inside


def _request(body: str, document: Any) -> Any:
    """Read a request body and write it again."""
    if body == "user":
        return wire.write_new_user(users.read_new_user(document))
    if body == "channel":
        return wire.write_new_channel(channels.read_new_channel(document))
    if body == "message":
        return wire.write_new_message(messages.read_new_message(document))
    if body == "file":
        return {
            name: value for name, value in messages.write_file(messages.read_file(document)).items() if name != "type"
        }
    if body == "secret":
        return users.write_secret(users.read_secret(document))
    if body == "reference":
        return wire.write_reference(users.read_reference(document))
    if body == "event":
        event = channels.read_event(document)
        return {"type": event.type, "properties": event.properties}
    if body == "invite":
        return {"user": wire.write_reference(channels.read_new_invite(document))}
    if body == "keystrokes":
        typed = channels.read_new_keystrokes(document)
        return {"keys": typed.keys, "user": wire.write_reference(typed.user)}
    if body == "function":
        return applications.write_new_function(applications.read_new_function(document))
    if body == "dependencies":
        return applications.write_dependencies(applications.read_dependencies(document))
    if body == "environment":
        return revealed(applications.read_environment(document))
    if body == "script":
        return applications.write_script(applications.read_script(document))
    if body == "settings":
        return {
            name: value
            for name, value in applications.write_settings(applications.read_settings(document)).items()
            if name != "features"
        }
    assert body == "patch" or body == "version", body
    return canonical(document)


@pytest.mark.parametrize("dialect", SPELLINGS)
@pytest.mark.parametrize("sample", REQUESTS, ids=lambda sample: sample["operation"])
def test_a_sample_request_survives_a_round_trip(sample: dict[str, Any], dialect: Dialect) -> None:
    document = sample[dialect.value]
    wanted = sample["camel"]
    if sample["body"] == "function":
        wanted = {"initializeAsynchronously": False, **wanted}  # required, but missing from the sample
    elif sample["body"] == "dependencies":
        wanted = [{"defaultDependency": False, **dependency} for dependency in wanted]
    elif sample["body"] == "settings":
        wanted = canonical(wanted)
    assert _request(sample["body"], document) == wanted


def test_optional_fields_of_a_new_function_have_defaults() -> None:
    assert applications.read_new_function({"type": "call.ended", "name": "x"}) == NewFunction("call.ended", "x")


def test_user_data_keeps_its_spelling_in_both_dialects() -> None:
    data = {"favoriteNumber": 1, "favorite_number": {"innerName": 2}}
    user = users.read_user(
        {
            "id": 1,
            "type": "PERSON",
            "name": "jane",
            "display_name": "Jane",
            "presence": {"status": "AWAY", "online": True},
            "properties": data,
        }
    )
    assert user.properties == data
    for dialect in SPELLINGS:
        assert dialects.spelled(users.write_user(user, LINKS), dialect)["properties"] == data
