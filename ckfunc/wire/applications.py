"""Applications and their settings, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.model.application import Application, ApplicationSettings
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed, optional, required, resource

_SETTINGS = ("guest_users", "user_created_channels")


def write_application(application: Application, links: Links) -> dict[str, Any]:
    """Return an application as the platform shows it: with its time in both spellings, as the examples need."""
    created = timestamp(application.created_time)
    return {
        "id": application.id,
        "key": application.key,
        "properties": dict(application.properties),
        "createdTime": created,
        "created_time": created,
        "_links": {"self": {"href": links.application}},
    }


def read_application(document: Any) -> Application:
    """Read an application in either spelling; raises Malformed."""
    found = resource(document, "application")
    try:
        created = parse_timestamp(required(found, "createdTime", str))
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Application(
        id=required(found, "id", int),
        key=required(found, "key", str),
        created_time=created,
        properties=optional(found, "properties", dict) or {},
    )


def write_settings(settings: ApplicationSettings) -> dict[str, Any]:
    """Return settings flat, as every schema has them, and nested under `features`, as the examples show them."""
    states = {name: "ENABLED" if getattr(settings, name) else "DISABLED" for name in _SETTINGS}
    return {
        "guestUsers": states["guest_users"],
        "userCreatedChannels": states["user_created_channels"],
        "features": states,
    }


def read_settings(document: Any) -> ApplicationSettings:
    """Read settings, flat or nested, in either spelling; raises Malformed."""
    found = resource(document, "settings")
    nested = optional(found, "features", dict)
    found = {**(resource(nested, "features") if nested else {}), **found}
    return ApplicationSettings(
        guest_users=_switch(found, "guestUsers"), user_created_channels=_switch(found, "userCreatedChannels")
    )


def _switch(document: Any, name: str) -> bool:
    state = required(document, name, str)
    if state not in ("ENABLED", "DISABLED"):
        raise Malformed(f"field {name!r} is {state!r}, not ENABLED or DISABLED")
    return state == "ENABLED"
