"""Pages of channels: search, create, edit, members, delete."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import channels as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.services import EmulatorServices, delete_in_steps
from ckfunc.emulator.store import channels, users
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.ui.conversation import channel_title
from ckfunc.emulator.ui.pages import form_route, page, page_route, posted_object, redirect
from ckfunc.model.chat import ChannelType
from ckfunc.wire.channels import patched_channel, read_new_channel

_PAGE_CHANNELS = 50
_PAGE_MEMBERS = 100


def show_channels(call: Call, services: EmulatorServices) -> Reply:
    """Show channels, or those whose name contains a text."""
    query = (call.first("query") or "")[:200]
    request = PageRequest(call.number("page", 0, least=0), _PAGE_CHANNELS, channels.DEFAULT_ORDER)
    found = channels.search(services.database, request, query)
    rows = [(one, channel_title(one)) for one in found.items]
    return page(call, services, "channels", section="channels", title="Channels", found=found, rows=rows, query=query)


def show_channel(call: Call, services: EmulatorServices) -> Reply:
    """Show a channel with a form to edit it, and its members."""
    channel = access.channel(services.database, call.id())
    request = PageRequest(call.number("page", 0, least=0), _PAGE_MEMBERS, users.DEFAULT_ORDER)
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
    made = actions.create(services.context(call), new, None, ())
    return redirect(f"/ui/channels/{made.id}")


def edit_channel(call: Call, services: EmulatorServices) -> Reply:
    """Change a channel's display name and properties."""
    channel = access.channel(services.database, call.id())
    form = call.form()
    patch: dict[str, object] = {"properties": posted_object(form, "properties")}
    if channel.type is not ChannelType.DIRECT:
        patch["displayName"] = form.get("display-name", "")
    changed = patched_channel(patched_channel(channel, {"properties": None}), patch)
    actions.update(services.context(call), changed)
    return redirect(f"/ui/channels/{channel.id}")


def change_members(call: Call, services: EmulatorServices) -> Reply:
    """Add a member by name, or remove one."""
    channel = access.channel(services.database, call.id())
    if channel.type is ChannelType.DIRECT:
        raise Refused("the members of a direct channel cannot change")
    form = call.form()
    name = form.get("remove") or form.get("add", "").strip()
    user = users.find_by_name(services.database, name)
    if user is None:
        raise Missing(f"there is no user {name[:100]!r}")
    if "remove" in form:
        actions.remove_member(services.context(call), channel, user)
    else:
        actions.add_member(services.context(call), channel, user)
    return redirect(f"/ui/channels/{channel.id}")


async def delete_channel(call: Call, services: EmulatorServices) -> Reply:
    """Delete a channel with its messages."""
    channel = access.channel(services.database, call.id())
    await delete_in_steps(services.database, actions.delete(services.context(call), channel))
    return redirect("/ui/channels")


ROUTES = (
    page_route("/ui/channels", show_channels),
    form_route("/ui/channels", create_channel),
    page_route("/ui/channels/{id}", show_channel),
    form_route("/ui/channels/{id}", edit_channel),
    form_route("/ui/channels/{id}/members", change_members),
    form_route("/ui/channels/{id}/delete", delete_channel),
)
