"""Actions of clients on users: change and delete the own user, list, block."""

from __future__ import annotations

import httpx
from support.stomp import client_of
from support.talk import Talk

from ckfunc.emulator.emulator import Emulator


def test_users_can_change_their_own_data(talk: Talk, client: httpx.Client) -> None:
    wanted = {**talk.bob.user, "displayName": "Bobby", "properties": {"cup": 1}, "name": "robert", "isGuest": False}
    changed = talk.bob.do(talk.bob.user["_actions"]["update"], wanted)
    assert (changed["name"], changed["displayName"], changed["isGuest"]) == ("bob", "Bobby", True)
    assert talk.ann.event("contact.user.updated")["displayName"] == "Bobby"
    assert client.get(f"/v1/users/{talk.bob.user['id']}").json()["properties"] == {"cup": 1}
    client.patch(f"/v1/users/{talk.bob.user['id']}", json={"presence": {"status": "BUSY"}})
    assert talk.bob.event("user.self.updated")["presence"]["status"] == "BUSY"
    assert talk.ann.event("contact.presence.changed")["presence"]["status"] == "BUSY"
    picture = {"url": "https://example.com/b.png", "name": "b.png", "contentType": "image/png", "size": 1}
    changed = talk.bob.do(talk.bob.user["_actions"]["updateDisplayPicture"], picture)
    assert changed["displayPictureUrl"] == picture["url"]


def test_users_can_only_delete_themselves(talk: Talk, client: httpx.Client) -> None:
    refused = talk.bob.act(f"/application/v1/users/{talk.ann.user['id']}.delete")
    assert refused.document["error"] == "AccessDeniedError"
    talk.bob.send("SEND", {"destination": talk.bob.user["_actions"]["delete"], "receipt": "gone"})
    assert (
        talk.bob.until(lambda frame: frame.headers.get("receipt-id") == "gone").document["type"] == "user.self.deleted"
    )
    assert talk.bob.closed().document["message"] == "the user was deleted"
    assert client.get(f"/v1/users/{talk.bob.user['id']}").status_code == 404
    assert talk.ann.event("contact.user.deleted")["name"] == "bob"


def test_contacts_are_listed_filtered_and_counted(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann, client_of(emulator.url, "bob"):
        with client_of(emulator.url, "cy"):
            pass
        relays = ann.user["_relays"]

        def listed(**wanted: str) -> list[str]:
            found = ann.read(relays["contacts"], **wanted)["_embedded"]["users"]
            assert ann.read(relays["contactsCount"], **wanted) == {"count": len(found)}
            return [user["name"] for user in found]

        assert listed() == ["bob", "cy"]
        assert listed(online="true") == ["bob"]
        assert listed(online="false") == ["cy"]
        assert listed(name="cy", displayName="undefined") == ["cy"]
        assert listed(displayName="B") == ["bob"]
        assert "not true or false" in ann.read(relays["contacts"], online="maybe")["message"]


def test_a_blocked_user_is_not_a_contact_and_causes_no_notifications(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann, client_of(emulator.url, "bob") as bob:
        (contact,) = ann.read(ann.user["_relays"]["contacts"])["_embedded"]["users"]
        assert "block themselves" in bob.act(f"/application/v1/users/{bob.user['id']}.block").document["message"]
        record = ann.do(contact["_actions"]["block"])
        assert (record["name"], record["user"]["name"]) == ("bob", "bob")
        assert ann.read(ann.user["_relays"]["contacts"])["_embedded"]["users"] == []
        (listed,) = ann.read(ann.user["_relays"]["userBlockListItems"])["_embedded"]["items"]
        assert listed == record
        channel = bob.do(bob.user["_actions"]["createChannel"], {"type": "DIRECT", "members": [{"username": "ann"}]})
        bob.do(channel["_actions"]["message"], {"type": "TEXT", "body": "hi"})
        assert "user.notification.created" not in ann.events()
        assert "no block" in bob.act(listed["_actions"]["delete"]).document["message"]
        assert ann.do(listed["_actions"]["delete"])["name"] == "bob"
        bob.do(channel["_actions"]["message"], {"type": "TEXT", "body": "again"})
        assert ann.event("user.notification.created")["body"] == "again"
