"""Pages of channels and messages: search, create, edit, members, delete."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as channel_actions
from ckfunc.emulator.actions import messages as message_actions
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.emulator.ui.chat import channel_title, file_link
from ckfunc.emulator.ui.invocations import read_cursor
from ckfunc.emulator.ui.pages import form_route, page, page_route, posted_object, redirect
from ckfunc.model.chat import ChannelType
from ckfunc.wire.channels import patched_channel, read_new_channel
from ckfunc.wire.messages import patched_message

_PAGE_CHANNELS = 50
_PAGE_MEMBERS = 100
_PAGE_MESSAGES = 50
_SEARCH_STEPS = 10
"""How far a page searches for a text, so that it is there soon, with a million messages too."""


def show_channels(call: Call, services: EmulatorServices) -> Reply:
    """Show channels, or those whose name contains a text."""
    query = (call.first("query") or "")[:200]
    request = PageRequest(call.number("page", 0, least=0), _PAGE_CHANNELS, channels.SORTING.order_by())
    matches = channels.search(services.database, request, query)
    rows = [(channel, channel_title(channel)) for channel in matches.items]
    return page(call, services, "channels", title="Channels", matches=matches, rows=rows, query=query)


def show_channel(call: Call, services: EmulatorServices) -> Reply:
    """Show a channel with a form to edit it, and its members."""
    channel = access.channel(services.database, call.id())
    request = PageRequest(call.number("page", 0, least=0), _PAGE_MEMBERS, users.SORTING.order_by())
    return page(
        call,
        services,
        "channel",
        section="channels",
        title=channel_title(channel),
        channel=channel,
        channel_title=channel_title(channel),
        members=users.members_page(services.database, channel.id, request),
    )


def create_channel(call: Call, services: EmulatorServices) -> Reply:
    """Create a public or private channel."""
    form = call.form()
    new = read_new_channel({"type": form.get("type", "PUBLIC"), "name": form.get("name", "").strip()})
    if new.type is ChannelType.DIRECT:
        raise Refused("direct channels are created with their members; use the API")
    channel = channel_actions.create(services.context(call), new, None, ())
    return redirect(f"/ui/channels/{channel.id}")


def edit_channel(call: Call, services: EmulatorServices) -> Reply:
    """Change a channel's display name and properties."""
    channel = access.channel(services.database, call.id())
    form = call.form()
    patch: dict[str, object] = {"properties": posted_object(form, "properties")}
    if channel.type is not ChannelType.DIRECT:
        patch["displayName"] = form.get("display-name", "")
    changed = patched_channel(patched_channel(channel, {"properties": None}), patch)
    channel_actions.update(services.context(call), changed)
    return redirect(f"/ui/channels/{channel.id}")


def change_members(call: Call, services: EmulatorServices) -> Reply:
    """Add a member by name, or remove one."""
    channel = access.channel(services.database, call.id())
    if channel.type is ChannelType.DIRECT:
        raise Refused("the members of a direct channel cannot change")
    form = call.form()
    name = form.get("remove") or form.get("add", "").strip()
    user = access.existing(users.find_by_name(services.database, name), "user", repr(name[:100]))
    if "remove" in form:
        channel_actions.remove_member(services.context(call), channel, user)
    else:
        channel_actions.add_member(services.context(call), channel, user)
    return redirect(f"/ui/channels/{channel.id}")


async def delete_channel(call: Call, services: EmulatorServices) -> Reply:
    """Delete a channel with its messages."""
    channel = access.channel(services.database, call.id())
    await delete_in_steps(services.database, channel_actions.delete(services.context(call), channel))
    return redirect("/ui/channels")


async def show_messages(call: Call, services: EmulatorServices) -> Reply:
    """Show messages, newest first: of a channel, from a user, containing a text."""
    query = (call.first("query") or "")[:1000]
    username = (call.first("username") or "").strip()
    channel_id = call.number("channel", 0, least=0, most=2**63 - 1)
    message_page = await result_of(
        messages.page(
            services.database,
            CursorRequest(read_cursor(call), _PAGE_MESSAGES),
            channel_id=channel_id or None,
            username=username or None,
            query=query or None,
            most_steps=_SEARCH_STEPS,
        )
    )
    within = channels.by_ids(services.database, (message.channel_id for message in message_page.items))
    return page(
        call,
        services,
        "messages",
        title="Messages",
        rows=[(message, channel_title(within[message.channel_id])) for message in message_page.items],
        older=message_page.next if message_page.has_next else None,
        partial=message_page.has_next and len(message_page.items) < _PAGE_MESSAGES,
        query=query,
        username=username,
        channel_id=channel_id or "",
    )


def show_message(call: Call, services: EmulatorServices) -> Reply:
    """Show a message with a form to edit it."""
    message = access.message(services.database, call.id())
    channel = channels.by_ids(services.database, [message.channel_id])[message.channel_id]
    return page(
        call,
        services,
        "message",
        section="messages",
        title=f"Message {message.id}",
        message=message,
        channel_title=channel_title(channel),
        file=None if message.file is None else file_link(message.file),
    )


def edit_message(call: Call, services: EmulatorServices) -> Reply:
    """Change a message's text and properties."""
    message = access.message(services.database, call.id())
    form, now = call.form(), services.database.now()
    changed = patched_message(message, {"properties": None}, now)
    patch: dict[str, object] = {"properties": posted_object(form, "properties")}
    body = form.get("body", "").replace("\r\n", "\n")
    if not message.type.is_file and body != message.body:
        patch["body"] = body
    message_actions.update(services.context(call), patched_message(changed, patch, now))
    return redirect(f"/ui/messages/{message.id}")


async def delete_message(call: Call, services: EmulatorServices) -> Reply:
    """Delete a message with its replies."""
    message = access.message(services.database, call.id())
    await delete_in_steps(services.database, message_actions.delete(services.context(call), message))
    return redirect("/ui/messages")


ROUTES = (
    page_route("/ui/channels", show_channels),
    form_route("/ui/channels", create_channel),
    page_route("/ui/channels/{id}", show_channel),
    form_route("/ui/channels/{id}", edit_channel),
    form_route("/ui/channels/{id}/members", change_members),
    form_route("/ui/channels/{id}/delete", delete_channel),
    page_route("/ui/messages", show_messages),
    page_route("/ui/messages/{id}", show_message),
    form_route("/ui/messages/{id}", edit_message, 4 * MEBIBYTE),
    form_route("/ui/messages/{id}/delete", delete_message),
)
