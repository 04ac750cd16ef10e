"""The page that saves the conversation of a channel as a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ckfunc.base.errors import CkfuncError, InvalidFiles
from ckfunc.emulator.actions import access
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.options import ConversationDrafts
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.forms import form_route, page_route
from ckfunc.emulator.ui.rendering import HEADERS, page

T = TypeVar("T")


async def show_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Show the conversation of a channel as a test case."""
    return await _page(call, services)


async def download_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the conversation of a channel as a test file."""
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    draft = await on_a_thread(lambda: drafts.draft(channel.id))
    name = f'attachment; filename="conversation-{channel.id}.yaml"'
    return Reply(
        content=draft.text.encode(),
        headers={**HEADERS, "content-disposition": name},
        content_type="application/yaml; charset=utf-8",
    )


async def add_conversation(call: Call, services: EmulatorServices) -> Reply:
    """Add the conversation of a channel to the project's tests."""
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    return await _page(call, services, await on_a_thread(lambda: drafts.add(channel.id)))


async def on_a_thread(work: Callable[[], T]) -> T:
    """Return the result of work on another thread. Raises Refused for expected failures."""
    try:
        return await asyncio.to_thread(work)
    except InvalidFiles as problem:
        raise Refused("\n".join(map(str, problem.problems)) or problem.message) from None
    except CkfuncError as problem:
        raise Refused(problem.message + (f"; {problem.hint}" if problem.hint else "")) from None


async def _page(call: Call, services: EmulatorServices, command: str | None = None) -> Reply:
    drafts = _drafts(services)
    channel = access.channel(services.database, call.id())
    draft = await on_a_thread(lambda: drafts.draft(channel.id))
    return page(
        call,
        services,
        "saved_conversation",
        section="chat",
        title="Conversation as a test",
        channel=channel,
        draft=draft,
        command=command,
    )


def _drafts(services: EmulatorServices) -> ConversationDrafts:
    if services.conversations is None:
        raise Missing("only an emulator that saves its data can save conversations")
    services.database.commit()
    return services.conversations()


ROUTES = (
    page_route("/ui/chat/channels/{id}/test", show_conversation),
    page_route("/ui/chat/channels/{id}/test.yaml", download_conversation),
    form_route("/ui/chat/channels/{id}/test", add_conversation),
)
