"""Change and delete users, and the users that they block."""

from __future__ import annotations

from functools import partial

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.messages import publish_deleted
from ckfunc.emulator.actions.sessions import publish_presence, tell_contacts
from ckfunc.emulator.store import deletion, files, memberships, users
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.chat import BlockRecord, User
from ckfunc.wire.clients import client_current_user, client_user, client_user_block


def update(context: ActionContext, user: User, changed: User) -> None:
    """Store a changed user."""
    users.update(context.database, changed)
    _publish(context, changed)
    if changed.presence != user.presence:
        publish_presence(context, changed)


def set_display_picture(context: ActionContext, user: User, picture: StoredFile | str) -> User:
    """Replace a user's display picture, with a file or with an address; return the changed user."""
    with context.database.transaction():
        stored = picture if isinstance(picture, str) else users.PICTURES + files.add(context.database, picture)
        users.set_display_picture(context.database, user, stored)
    changed = users.by_ids(context.database, [user.id])[user.id]
    _publish(context, changed)
    return changed


def delete(context: ActionContext, user: User) -> Steps:
    """Delete a user with everything that the user has made, in steps."""
    contacts = users.contact_ids(context.database, user.id)
    yield from deletion.delete_user(context.database, user, partial(publish_deleted, context))
    document = client_current_user(user, context.links)
    context.publish_to(user.id, "self", "user.self.deleted", lambda: document)
    if context.actor is not None and context.actor.id != user.id:
        context.publish_to(context.actor.id, "self", "user.self.deleted", lambda: client_user(user, context.links))
    for user_id in contacts:
        context.publish_user(f"users/{user_id}", "contacts", "contact.user.deleted", user)
    context.topics.disconnect(user.id)


def block(context: ActionContext, user: User, blocked: User) -> None:
    """Block a user for another one."""
    record = memberships.add_block(context.database, memberships.USER_BLOCKS, user.id, blocked.id)
    # Clients 1.x take a user as the answer, and clients 2.x listen for a record: one resource has the fields of both.
    context.publish_to(
        user.id, "users", "user.user_blocklist_item.created", lambda: client_user_block(record, context.links)
    )


def unblock(context: ActionContext, record: BlockRecord) -> None:
    """End a block."""
    memberships.remove_block(context.database, memberships.USER_BLOCKS, record.id)
    context.publish_to(record.owner_id, "users", "user.user.unblocked", lambda: client_user(record.user, context.links))


def _publish(context: ActionContext, changed: User) -> None:
    context.publish_to(changed.id, "self", "user.self.updated", lambda: client_current_user(changed, context.links))
    tell_contacts(context, changed, "contact.user.updated")
