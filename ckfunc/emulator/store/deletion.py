"""What goes with a user who is deleted. The platform does not say; this is ours.

Gone is what the user has made or is part of: messages, with the replies to them, memberships, invites, reactions,
receipts, notifications, sessions, secrets and the display picture. Channels stay, those that the user created too;
a direct channel keeps its other members, and goes with its last one.
"""

from __future__ import annotations

from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.user import User

_MESSAGES_AND_REPLIES = (
    "id IN (WITH RECURSIVE gone (id) AS (SELECT id FROM messages WHERE user_id = ? UNION"
    " SELECT messages.id FROM messages JOIN gone ON messages.parent_id = gone.id) SELECT id FROM gone)"
)


def delete_user(database: Database, user: User) -> None:
    """Forget a user."""
    direct = (
        "SELECT id FROM channels JOIN channel_members ON channel_id = id WHERE user_id = ? AND member_ids IS NOT NULL"
    )
    with database.transaction():
        for row in database.all(direct, user.id):
            left = [one for one in channels.member_ids(database, row["id"]) if one != user.id]
            if left:
                key = ",".join(map(str, left))
                database.execute("UPDATE channels SET member_ids = ? WHERE id = ?", (key, row["id"]))
            else:
                channels.delete(database, row["id"])
        messages.remove_files(database, _MESSAGES_AND_REPLIES, user.id)
        users.forget_picture(database, user)
        database.execute("DELETE FROM users WHERE id = ?", (user.id,))
