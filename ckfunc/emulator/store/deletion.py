"""What goes with a user who is deleted. The platform does not say; this is ours.

Gone is what the user has made or is part of: messages, with the replies to them, memberships, invites, reactions,
receipts, notifications, sessions, secrets and the display picture. Channels stay, those that the user created too;
a direct channel keeps its other members, and goes with its last one.
"""

from __future__ import annotations

from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps
from ckfunc.emulator.store.steps import delete as delete_rows
from ckfunc.model.user import User


def delete_user(database: Database, user: User) -> Steps:
    """Forget a user."""
    direct = (
        "SELECT id FROM channels JOIN channel_members ON channel_id = id WHERE user_id = ? AND member_ids IS NOT NULL"
    )
    for row in database.all(direct, user.id):
        left = [one for one in channels.member_ids(database, row["id"]) if one != user.id]
        if left:
            key = ",".join(map(str, left))
            with database.transaction():
                database.execute("UPDATE channels SET member_ids = ? WHERE id = ?", (key, row["id"]))
                channels.remove_member(database, row["id"], user.id)
            yield
        else:
            yield from channels.delete(database, row["id"])
    yield from messages.delete_of_user(database, user.id)
    for table, key in _OWN:
        yield from delete_rows(database, table, "user_id = ?", user.id, key=key)
    with database.transaction():
        users.forget_picture(database, user)
        database.execute("DELETE FROM users WHERE id = ?", (user.id,))


_OWN = (
    ("notifications", "rowid"),
    ("read_receipts", "message_id, user_id"),
    ("reactions", "message_id, character, user_id"),
    ("message_reports", "message_id, user_id"),
    ("channel_invites", "rowid"),
    ("channel_members", "channel_id, user_id"),
    ("user_secrets", "user_id, name"),
)
"""What refers to a user and can be much, with the key of each."""
