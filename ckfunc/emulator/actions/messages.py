"""Send, change, delete, read, react to and report messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.http.bodies import read_json
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import channels, conversations, deletion, files, messages, notifications, reading
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.chat import (
    Emoji,
    File,
    FileType,
    Message,
    MessageReport,
    NewMessage,
    Notification,
    Reaction,
    ReadReceipt,
    Thread,
    ThreadType,
    User,
)
from ckfunc.wire.channels import write_channel, write_notification, write_receipt
from ckfunc.wire.clients import (
    client_message,
    client_notification,
    client_reaction,
    client_receipt,
    client_report,
    topic,
)
from ckfunc.wire.messages import read_new_file_message, write_message, write_reactions
from ckfunc.wire.users import write_user

_SENT = "user.sent.message"
_NOTIFIED = "user.received.notification"
_DELETED = "channel.message.deleted"

_EVENTS = 25
"""How many events a step publishes, which takes a few milliseconds with tens of clients."""


def send(
    context: ActionContext, channel_id: int, new: NewMessage, sender: User | None, thread: Thread | None = None
) -> Message:
    """Send a message from `sender`, or from the system, to an existing channel, or to a thread of it."""
    database, links = context.database, context.links
    handled = sender is not None and context.dispatch.handles(_SENT)
    with database.grouped():
        message = messages.create(database, channel_id, new, sender, thread)
        shown = conversations.unhide(database, channel_id)
        concerned = notifications.concerns_anyone(database, message)
        notified: tuple[tuple[User, Notification], ...] = ()
        if handled or shown or concerned:
            # The channel as it is now, with this message as its last.
            channel = channels.by_ids(database, [channel_id])[channel_id]
            notified = notifications.create_for_message(database, channel, message)
    if handled and message.user is not None:
        sent = {
            "user": write_user(message.user, links),
            "channel": write_channel(channel, links),
            "message": write_message(message, links),
        }
        context.dispatch.fire(_SENT, sent, caller=context.caller)
    _publish_created(context, message, thread)
    for user_id in shown:
        context.publish_channel(user_id, "user.channel.unhidden", channel)
    _notify(context, notified)
    return message


def update(context: ActionContext, changed: Message) -> Message:
    """Store a changed message."""
    updated = messages.update(context.database, changed)
    _publish(context, updated, "channel.message.updated")
    return updated


def delete(context: ActionContext, message: Message) -> Steps:
    """Delete a message with its replies, in steps."""

    def deleting(ids: Sequence[int]) -> Steps:
        return publish_deleted(context, [deleted_id for deleted_id in ids if deleted_id != message.id])

    yield from deletion.delete_message(context.database, message.id, deleting)
    _publish(context, message, _DELETED)


def delete_all(context: ActionContext) -> Steps:
    """Delete every message, in steps."""
    return deletion.delete_messages(context.database, partial(publish_deleted, context))


def publish_deleted(context: ActionContext, ids: Sequence[int]) -> Steps:
    """Return steps that publish that messages were deleted. Call it while they still exist."""
    of = messages.channels_of(context.database, ids) if context.topics.connections else {}
    published = [
        message_id
        for message_id, channel_id in of.items()
        if context.topics.has(topic(f"channels/{channel_id}", "messages"))
    ]
    subscribed = messages.by_ids(context.database, published)

    def steps() -> Steps:
        for number, message_id in enumerate(published, 1):
            _publish(context, subscribed[message_id], _DELETED)
            if number % _EVENTS == 0:
                yield

    return steps()


def delete_for(context: ActionContext, message: Message, user: User) -> None:
    """Delete a message for one user only."""
    conversations.hide_message(context.database, message.id, user.id)
    context.publish_to(user.id, "messages", "user.message.deleted", lambda: client_message(message, context.links))


def read_upload(call: Call) -> tuple[NewMessage, StoredFile]:
    """Return the message of a form, and its file, which is not stored yet. Raises Refused and Malformed."""
    parts = call.multipart()
    fields: dict[str, Any] = {name: part.text for name, part in parts.items() if name != "file" and part.text.strip()}
    if "properties" in fields:
        try:
            fields["properties"] = read_json(parts["properties"].content, None)
        except Refused as error:
            raise Refused(f"field 'properties': {error.explanation}") from None
    file = call.upload()
    return read_new_file_message(fields, _hosted(file, "")), file


def stored(database: Database, new: NewMessage, file: StoredFile) -> NewMessage:
    """Store the file of a message, and return the message that refers to it."""
    return replace(new, file=_hosted(file, files.add(database, file)))


def _publish_created(context: ActionContext, message: Message, thread: Thread | None) -> None:
    _publish(context, message, "channel.message.created")
    if thread is not None and thread.type is not ThreadType.MAIN:
        write = partial(client_message, message, context.links)
        context.publish(f"channels/{message.channel_id}", "messages", "thread.message.created", write)


def _publish(context: ActionContext, message: Message, event: str) -> None:
    of = f"channels/{message.channel_id}"
    context.publish(of, "messages", event, lambda: client_message(message, context.links), answer="messages")


def _notify(context: ActionContext, notified: tuple[tuple[User, Notification], ...]) -> None:
    links = context.links
    if not notified:
        return
    # A channel can have thousands of members: without a function no event is created.
    handled = context.dispatch.handles(_NOTIFIED)
    for user, notification in notified:
        if handled:
            received = {
                "user": write_user(user, links),
                "notification": write_notification(notification, links),
                "userHasActiveSession": user.presence.online,
            }
            context.dispatch.fire(_NOTIFIED, received, caller=context.caller)
        write = partial(client_notification, notification, user, links)
        context.publish_to(user.id, "notifications", "user.notification.created", write)


def _hosted(file: StoredFile, key: str) -> File:
    return File(files.FILE_URL + key, file.name, file.content_type, len(file.content), FileType.HOSTED)


_READ = "user.read.message"
_REACTED = "user.reacted_to.message"

_LONGEST_EMOJI = 64


def read(context: ActionContext, user: User, message: Message) -> ReadReceipt | None:
    """Store that a user has read a message; return the receipt, or None if there is one already."""
    receipt = reading.add_receipt(context.database, message.id, user.id)
    if receipt is not None:
        _receipt_added(context, user, message, receipt)
    return receipt


def read_all(context: ActionContext, user: User, unread: list[int]) -> None:
    """Store that a user has read these messages."""
    with context.database.transaction():
        added = [
            receipt
            for message_id in unread
            if (receipt := reading.add_receipt(context.database, message_id, user.id)) is not None
        ]
    messages_by_id = messages.by_ids(context.database, (receipt.message_id for receipt in added))
    for receipt in added:
        _receipt_added(context, user, messages_by_id[receipt.message_id], receipt)


def unread(context: ActionContext, user: User, message: Message) -> None:
    """Make a message unread for a user."""
    receipt = reading.get_receipt(context.database, message.id, user.id)
    if receipt is not None:
        reading.remove_receipt(context.database, message.id, user.id)
        _publish_receipt(context, message, receipt, "message.read_receipt.deleted")


def react(context: ActionContext, user: User, message: Message, emoji: Emoji) -> Reaction:
    """Add a user's reaction to a message; an existing one is returned."""
    links = context.links
    added = reading.add_reaction(context.database, message.id, user.id, emoji)
    if added is None:
        reaction = reading.get_reaction(context.database, message.id, user.id, emoji.character)
        assert reaction is not None  # noqa: S101 - it was not added because it exists
        context.publish_to(user.id, "reactions", "message.reaction.created", lambda: client_reaction(reaction, links))
        return reaction
    context.fire(_REACTED, lambda: _reacted(context, user, message, emoji))
    _publish_reaction(context, message, added, "message.reaction.created")
    return added


def _reacted(context: ActionContext, user: User, message: Message, emoji: Emoji) -> dict[str, Any]:
    """Return the event of a reaction, in which all reactions with the same emoji are summed up."""
    links = context.links
    now = messages.by_ids(context.database, [message.id])[message.id]
    (summary,) = (reaction for reaction in now.reactions if reaction.emoji.character == emoji.character)
    return {
        "user": write_user(user, links),
        "message": write_message(now, links),
        "reaction": write_reactions(summary, links),
    }


def remove_reaction(context: ActionContext, user: User, message: Message, character: str) -> Reaction | None:
    """Remove a user's reaction to a message; return it, or None if there was none."""
    removed = reading.remove_reaction(context.database, message.id, user.id, character)
    if removed is not None:
        _publish_reaction(context, message, removed, "message.reaction.removed")
    return removed


def report(context: ActionContext, report: MessageReport) -> None:
    """Store a user's report of a message."""
    reading.report(context.database, report)
    user_id = report.user.id
    context.publish_to(user_id, "messages", "message.report.created", lambda: client_report(report, context.links))


def remove_report(context: ActionContext, user: User, message: Message) -> None:
    """Remove a user's report of a message."""
    reading.unreport(context.database, message.id, user.id)
    removed = MessageReport(message.id, user, context.database.now())
    context.publish_to(user.id, "messages", "message.report.deleted", lambda: client_report(removed, context.links))


def emoji_of(text: str) -> Emoji:
    """Return an emoji by its character, or by a short name such as `thumbsup` or `:thumbsup:`.

    Any other text is an emoji of its own: the platform's list is not public.
    """
    import emoji  # its data takes a while to load

    name = text.strip().strip(":")
    character = text.strip()
    if name and not emoji.is_emoji(character):
        by_alias = emoji.emojize(f":{name}:", language="alias")
        if emoji.is_emoji(by_alias):
            character = by_alias
    data = emoji.EMOJI_DATA.get(character)
    if data is None:
        return Emoji(character[:_LONGEST_EMOJI], name[:_LONGEST_EMOJI] or character[:_LONGEST_EMOJI])
    names = [emoji.demojize(character).strip(":"), *(alias.strip(":") for alias in data.get("alias", ()))]
    aliases = tuple(dict.fromkeys(names))
    return Emoji(character, aliases[0].replace("_", " "), aliases)


def _receipt_added(context: ActionContext, user: User, message: Message, receipt: ReadReceipt) -> None:
    links = context.links
    context.fire(
        _READ,
        lambda: {
            "user": write_user(user, links),
            "message": write_message(message, links),
            "receipt": write_receipt(receipt, links),
        },
    )
    _publish_receipt(context, message, receipt, "message.read_receipt.created")


def _publish_receipt(context: ActionContext, message: Message, receipt: ReadReceipt, event: str) -> None:
    of = f"channels/{message.channel_id}"
    context.publish(of, "readReceipts", event, lambda: client_receipt(receipt, context.links))
    context.publish_to(receipt.user.id, "readReceipts", event, lambda: client_receipt(receipt, context.links))


def _publish_reaction(context: ActionContext, message: Message, reaction: Reaction, event: str) -> None:
    of = f"channels/{message.channel_id}"
    context.publish(of, "reactions", event, lambda: client_reaction(reaction, context.links), answer="reactions")
