"""Files without a token: uploads, exports, pictures, and the project's web page."""

from __future__ import annotations

import asyncio
import colorsys
import zlib
from collections.abc import AsyncIterator, Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote_plus

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file
from ckfunc.base.text import with_hint
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing, Unavailable
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import FileInfo

# A browser shows these and cannot run them. Others are saved: a page from this address has the emulator's rights.
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf", "text/plain")
_SHOWN_KINDS = ("audio/", "video/")
_SAFETY = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128">'
    '<rect width="128" height="128" fill="{color}"/>'
    '<text x="64" y="64" dy="0.36em" text-anchor="middle" font-family="sans-serif" font-size="56" fill="#fff">'
    "{initials}</text></svg>"
)


_PAGE_TYPES = {
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
_PAGE_HEADERS = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'self'; connect-src 'self'; img-src * data: blob:; media-src * blob:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    ),
}


def download_file(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a stored file. Its key is enough; no token is needed."""
    key = call.parameters["key"]
    info = files.info(services.database, key)
    if info is None:
        raise Missing("there is no such file")
    return _reply(services.database, key, info)


def download_picture(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a display picture: the uploaded one of that key, or a drawing of the name's initials."""
    name = call.parameters["name"]
    info = files.info(services.database, name)
    return _drawing(unquote_plus(name)) if info is None else _reply(services.database, name, info)


def show_page(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a file of the project's directory `web`; without a name, with its index.html."""
    name = call.parameters.get("name", _INDEX)
    kind = _PAGE_TYPES.get(Path(name).suffix.lower())
    directory = services.web.directory
    if directory is None or kind is None or Path(name).name != name:
        raise Missing("there is no such page")
    try:
        require_inside(directory.parent, directory / name, followed=True)
        return Reply(content=read_file(directory / name), content_type=kind, headers=_PAGE_HEADERS)
    except (CkfuncError, OSError, ValueError):
        raise Missing("there is no such page") from None


async def download_chat_client(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the vendor's chat client as a JavaScript module. The first time, npm installs it."""
    try:
        module = await asyncio.to_thread(services.web.client)
    except CkfuncError as problem:
        raise Unavailable(with_hint(problem.message, problem.hint)) from None
    return Reply(content=module, content_type=_PAGE_TYPES[".js"], headers={"cache-control": "no-cache"})


def _reply(database: Database, key: str, file: FileInfo) -> Reply:
    shown = file.content_type.partition(";")[0]
    disposition_type = "inline" if shown in _SHOWN or shown.startswith(_SHOWN_KINDS) else "attachment"
    plain = file.name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    disposition = f"{disposition_type}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {**_SAFETY, "content-disposition": disposition, "cache-control": "private, max-age=31536000, immutable"}
    parts = files.content(database, key)
    if file.size_bytes <= files.PART_BYTES:
        return Reply(content=b"".join(parts), content_type=file.content_type, headers=headers)
    headers["content-length"] = str(file.size_bytes)
    return Reply(stream=_stream(parts), content_type=file.content_type, headers=headers)


async def _stream(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)  # other requests are answered


def _drawing(display_name: str) -> Reply:
    words = display_name.split()
    initials = "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
    hue = zlib.crc32(display_name.encode("utf-8", "replace")) / 2**32
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.4, 0.5))
    # XML has no control characters, but a name may.
    shown = escape("".join(character for character in initials if character.isprintable()))
    text = _DRAWING.format(color=f"#{red:02x}{green:02x}{blue:02x}", initials=shown)
    headers = {**_SAFETY, "cache-control": "public, max-age=86400"}
    return Reply(content=text.encode("utf-8", "replace"), content_type="image/svg+xml", headers=headers)


ROUTES = (
    Route("GET", "/files/{key}", download_file, Access.PUBLIC),
    Route("GET", "/picture/{name}", download_picture, Access.PUBLIC),
    Route("GET", "/web", show_page, Access.PUBLIC),
    Route("GET", "/web/{name}", show_page, Access.PUBLIC),
    Route("GET", "/chat-client.js", download_chat_client, Access.PUBLIC),
)
