"""Files to download: uploads, exports, and the pictures that the platform draws."""

from __future__ import annotations

import colorsys
import zlib
from html import escape
from urllib.parse import quote, unquote_plus

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Missing
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import files
from ckfunc.emulator.store.files import StoredFile

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


def download_file(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a stored file. Its key is enough; no token is needed."""
    found = files.get(services.database, call.parameters["key"])
    if found is None:
        raise Missing("there is no such file")
    return _reply(found)


def download_picture(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a display picture: the uploaded one of that key, or a drawing of the name's initials."""
    name = call.parameters["name"]
    found = files.get(services.database, name)
    return _drawing(unquote_plus(name)) if found is None else _reply(found)


def _reply(file: StoredFile) -> Reply:
    shown = file.content_type.partition(";")[0]
    how = "inline" if shown in _SHOWN or shown.startswith(_SHOWN_KINDS) else "attachment"
    plain = file.name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    disposition = f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {
        **_SAFETY,
        "content-disposition": disposition,
        "cache-control": "private, max-age=31536000, immutable",
    }
    return Reply(content=file.content, content_type=file.content_type, headers=headers)


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
)
