"""Read, react to and report messages."""

from __future__ import annotations

from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.store import messages, reading
from ckfunc.model.chat import Emoji, Message, MessageReport, Reaction, ReadReceipt, User
from ckfunc.wire.channels import write_receipt
from ckfunc.wire.clients import client_reaction, client_receipt, client_report
from ckfunc.wire.messages import write_message, write_reactions
from ckfunc.wire.users import write_user

_READ = "user.read.message"
_REACTED = "user.reacted_to.message"

_LONGEST_EMOJI = 64


def read(context: ActionContext, user: User, message: Message) -> ReadReceipt | None:
    """Store that a user has read a message; return the receipt, or None if there is one already."""
    receipt = reading.add_receipt(context.database, message.id, user.id)
    if receipt is not None:
        _fire_read(context, user, message, receipt)
        _publish_receipt(context, message, receipt, "message.read_receipt.created")
    return receipt


def read_all(context: ActionContext, user: User, unread: list[int]) -> None:
    """Store that a user has read these messages."""
    with context.database.transaction():
        added = [
            receipt
            for message_id in unread
            if (receipt := reading.add_receipt(context.database, message_id, user.id)) is not None
        ]
    found = messages.by_ids(context.database, (receipt.message_id for receipt in added))
    for receipt in added:
        message = found[receipt.message_id]
        _fire_read(context, user, message, receipt)
        _publish_receipt(context, message, receipt, "message.read_receipt.created")


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
        found = emoji.emojize(f":{name}:", language="alias")
        if emoji.is_emoji(found):
            character = found
    data = emoji.EMOJI_DATA.get(character)
    if data is None:
        return Emoji(character[:_LONGEST_EMOJI], name[:_LONGEST_EMOJI] or character[:_LONGEST_EMOJI])
    names = [emoji.demojize(character).strip(":"), *(alias.strip(":") for alias in data.get("alias", ()))]
    aliases = tuple(dict.fromkeys(names))
    return Emoji(character, aliases[0].replace("_", " "), aliases)


def _fire_read(context: ActionContext, user: User, message: Message, receipt: ReadReceipt) -> None:
    links = context.links
    context.fire(
        _READ,
        lambda: {
            "user": write_user(user, links),
            "message": write_message(message, links),
            "receipt": write_receipt(receipt, links),
        },
    )


def _publish_receipt(context: ActionContext, message: Message, receipt: ReadReceipt, event: str) -> None:
    of = f"channels/{message.channel_id}"
    context.publish(of, "readReceipts", event, lambda: client_receipt(receipt, context.links))
    context.publish_to(receipt.user.id, "readReceipts", event, lambda: client_receipt(receipt, context.links))


def _publish_reaction(context: ActionContext, message: Message, reaction: Reaction, event: str) -> None:
    of = f"channels/{message.channel_id}"
    context.publish(of, "reactions", event, lambda: client_reaction(reaction, context.links), answer="reactions")
