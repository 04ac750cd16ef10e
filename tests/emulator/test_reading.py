"""Read receipts, unread summaries, reactions and reports."""

from __future__ import annotations

import httpx
import pytest
from support.calls import answered, explanation, items, send

from ckfunc.emulator.store import reading
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Emoji

SUMMARIES = "application/message-read-receipt-summaries"
THUMBS_UP = Emoji("👍", "thumbs up sign", ("+1", "thumbsup"), ("approve", "ok"))
HEART = Emoji("❤", "red heart", ("heart",))


def test_receipts_have_the_reader_and_the_time(client: httpx.Client, room: dict[str, int], database: Database) -> None:
    message = send(client, user={"username": "ann"})
    assert items(client, "messages/1/read-receipts") == []
    assert reading.add_receipt(database, message["id"], room["bob"]) is not None
    assert reading.add_receipt(database, message["id"], room["bob"]) is None
    reading.add_receipt(database, message["id"], room["cy"])
    first, second = items(client, "messages/1/read-receipts")
    base = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    bob = client.get(f"/v1/users/{room['bob']}").json()
    del bob["_links"]
    assert first.pop("createdTime") >= message["createdTime"]
    assert first == {
        "user": bob,
        "_links": {
            "user": {"href": f"{base}/users/{room['bob']}"},
            "message": {"href": f"{base}/messages/1"},
            "application": {"href": base},
        },
    }
    assert second["user"]["name"] == "cy"
    page = answered(client.get("/v1/messages/1/read-receipts", params={"size": 1, "sort": "createdTime,desc"}))
    assert set(page["_links"]) == {"first", "self", "next", "last"}
    assert explanation(client.get("/v1/messages/9/read-receipts"), 404) == "there is no message 9"


def test_summaries_count_the_unread_messages_of_each_member(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    answered(client.post("/v1/channels", json={"type": "PRIVATE", "name": "q", "members": [{"username": "ann"}]}))
    by_ann = send(client, user={"username": "ann"})
    send(client)
    reading.add_receipt(database, by_ann["id"], room["bob"])

    def unread() -> list[tuple[str, int, int]]:
        return [(item["user"]["name"], item["channel"]["id"], item["count"]) for item in items(client, SUMMARIES)]

    assert unread() == [("ann", 1, 1), ("ann", 2, 0), ("bob", 1, 1), ("cy", 1, 2)]
    assert reading.remove_receipt(database, by_ann["id"], room["bob"])
    assert not reading.remove_receipt(database, by_ann["id"], room["bob"])
    assert unread()[2] == ("bob", 1, 2)
    first = items(client, SUMMARIES)[0]
    assert first["channel"]["lastReceivedMessage"]["type"] == "SYSTEM_TEXT"
    assert set(first["_links"]) == {"user", "channel", "application"}


@pytest.mark.parametrize("sort", ["userId", "channelId,desc", "id"])
def test_pages_of_summaries_do_not_overlap(client: httpx.Client, room: dict[str, int], sort: str) -> None:
    for name in "qrs":
        members = [{"username": username} for username in ("ann", "bob", "cy")]
        answered(client.post("/v1/channels", json={"type": "PUBLIC", "name": name, "members": members}))
    seen = []
    page = answered(client.get(f"/v1/{SUMMARIES}", params={"size": 5, "sort": sort}))
    while True:
        seen += [(summary["user"]["id"], summary["channel"]["id"]) for summary in page["_embedded"]["summaries"]]
        if "next" not in page["_links"]:
            break
        page = answered(client.get(page["_links"]["next"]["href"]))
    assert len(seen) == len(set(seen)) == 12


def test_summaries_are_returned_at_the_unversioned_path_and_in_snake_case(
    client: httpx.Client, room: dict[str, int]
) -> None:
    send(client)
    page = answered(client.get(f"/{SUMMARIES}", headers={"accept": "application/vnd.chatkitty+json"}))
    assert page["page"] == {"size": 25, "total_elements": 3, "total_pages": 1, "number": 0}
    assert page["_embedded"]["summaries"][0]["channel"]["last_received_message"]["channel_id"] == 1


def test_reactions_are_grouped_by_emoji(client: httpx.Client, room: dict[str, int], database: Database) -> None:
    send(client)
    assert "reactions" not in client.get("/v1/messages/1").json()
    for name, emoji in (("bob", THUMBS_UP), ("ann", HEART), ("cy", THUMBS_UP)):
        assert reading.add_reaction(database, 1, room[name], emoji)
    assert not reading.add_reaction(database, 1, room["cy"], THUMBS_UP)
    shown = client.get("/v1/messages/1").json()["reactions"]
    assert {reaction["emoji"]["character"]: [user["name"] for user in reaction["users"]] for reaction in shown} == {
        "👍": ["bob", "cy"],
        "❤": ["ann"],
    }
    thumbs = next(reaction for reaction in shown if reaction["count"] == 2)
    assert thumbs["emoji"] == {
        "character": "👍",
        "description": "thumbs up sign",
        "aliases": ["+1", "thumbsup"],
        "tags": ["approve", "ok"],
    }
    assert items(client, "channels/1/messages")[0]["reactions"] == shown
    assert reading.remove_reaction(database, 1, room["ann"], "❤")
    assert not reading.remove_reaction(database, 1, room["ann"], "❤")
    assert [reaction["count"] for reaction in client.get("/v1/messages/1").json()["reactions"]] == [2]


def report(client: httpx.Client, message_id: int, name: str) -> None:
    answered(client.post("/emulator/reports", json={"username": name, "messageId": message_id}))


def test_reported_messages_are_listed_by_channel(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    for text in "abc":
        send(client, text)
    assert items(client, "channels/1/reported-messages") == []
    for message_id, name in ((1, "ann"), (3, "ann"), (3, "bob"), (3, "bob")):
        report(client, message_id, name)
    shown = items(client, "channels/1/reported-messages")
    assert [(message["body"], message["reportCount"]) for message in shown] == [("c", 2), ("a", 1)]
    assert shown[0] == client.get("/v1/messages/3").json()
    page = answered(client.get("/v1/channels/1/reported-messages", params={"size": 1, "sort": "createdTime,asc"}))
    assert (page["page"]["totalElements"], page["_embedded"]["messages"][0]["body"]) == (2, "a")
    assert explanation(client.get("/v1/channels/9/reported-messages"), 404) == "there is no channel 9"


def test_receipts_reactions_and_reports_are_deleted_with_their_message(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    send(client, user={"username": "ann"})
    reading.add_receipt(database, 1, room["bob"])
    reading.add_reaction(database, 1, room["bob"], HEART)
    report(client, 1, "bob")
    answered(client.delete("/v1/messages/1"))
    tables = ("read_receipts", "reactions", "message_reports", "notifications", "messages")
    assert [database.value(f"SELECT count(*) FROM {table}") for table in tables] == [0] * 5
