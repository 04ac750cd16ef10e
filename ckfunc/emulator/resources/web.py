"""The project's web page, and the vendor's chat client for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Unavailable
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
}
_INDEX = "index.html"
# The page has the rights of the emulator's origin: it only runs scripts of this origin, and no page may frame it.
_SAFETY = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'self'; connect-src 'self'; img-src * data: blob:; media-src * blob:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    ),
}


def show_page(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a file of the project's directory `web`; without a name, with its index.html."""
    name = call.parameters.get("name", _INDEX)
    kind = _TYPES.get(Path(name).suffix.lower())
    directory = services.web.directory
    if directory is None or kind is None or Path(name).name != name:
        raise Missing("there is no such page")
    try:
        require_inside(directory.parent, directory / name, followed=True)
        return Reply(content=read_file(directory / name), content_type=kind, headers=_SAFETY)
    except (CkfuncError, OSError, ValueError):
        raise Missing("there is no such page") from None


async def download_chat_client(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the vendor's chat client as a JavaScript module. The first time, npm installs it."""
    try:
        module = await asyncio.to_thread(services.web.client)
    except CkfuncError as problem:
        raise Unavailable(f"{problem.message}{f' ({problem.hint})' if problem.hint else ''}") from None
    return Reply(content=module, content_type=_TYPES[".js"], headers={"cache-control": "no-cache"})


ROUTES = (
    Route("GET", "/web", show_page, Access.PUBLIC),
    Route("GET", "/web/{name}", show_page, Access.PUBLIC),
    Route("GET", "/chat-client.js", download_chat_client, Access.PUBLIC),
)
