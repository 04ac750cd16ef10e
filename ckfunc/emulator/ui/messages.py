"""Pages of messages: search, edit, delete."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import messages as actions
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import channels, messages
from ckfunc.emulator.store.paging import CursorRequest
from ckfunc.emulator.ui.conversation import channel_title, file_link
from ckfunc.emulator.ui.invocations import read_cursor
from ckfunc.emulator.ui.pages import form_route, page, page_route, posted_object, redirect
from ckfunc.wire.messages import patched_message

_PAGE_MESSAGES = 50
_SEARCH_STEPS = 10
"""How far a page searches for a text, so that it is there soon, with a million messages too."""


async def show_messages(call: Call, services: EmulatorServices) -> Reply:
    """Show messages, newest first: of a channel, from a user, containing a text."""
    query = (call.first("query") or "")[:1000]
    username = (call.first("username") or "").strip()
    channel_id = call.number("channel", 0, least=0, most=2**63 - 1)
    found = await result_of(
        messages.page(
            services.database,
            CursorRequest(read_cursor(call), _PAGE_MESSAGES),
            channel_id=channel_id or None,
            username=username or None,
            query=query or None,
            most_steps=_SEARCH_STEPS,
        )
    )
    within = channels.by_ids(services.database, (one.channel_id for one in found.items))
    return page(
        call,
        services,
        "messages",
        section="messages",
        title="Messages",
        rows=[(one, channel_title(within[one.channel_id])) for one in found.items],
        older=found.next if found.has_next else None,
        partial=found.has_next and len(found.items) < _PAGE_MESSAGES,
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
    actions.update(services.context(call), patched_message(changed, patch, now))
    return redirect(f"/ui/messages/{message.id}")


async def delete_message(call: Call, services: EmulatorServices) -> Reply:
    """Delete a message with its replies."""
    message = access.message(services.database, call.id())
    await delete_in_steps(services.database, actions.delete(services.context(call), message))
    return redirect("/ui/messages")


ROUTES = (
    page_route("/ui/messages", show_messages),
    page_route("/ui/messages/{id}", show_message),
    form_route("/ui/messages/{id}", edit_message, 4 * MEBIBYTE),
    form_route("/ui/messages/{id}/delete", delete_message),
)
