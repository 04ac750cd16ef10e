"""The application and its settings."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import application
from ckfunc.wire.applications import read_settings, write_application, write_settings


def retrieve_authenticated_application(call: Call, services: Services) -> Reply:
    """Answer with the application that owns the token."""
    return Reply(write_application(application.get(services.database), call.links))


def retrieve_authenticated_application_settings(_call: Call, services: Services) -> Reply:
    """Answer with the settings."""
    return Reply(write_settings(application.settings(services.database)))


def update_authenticated_application_settings(call: Call, services: Services) -> Reply:
    """Replace the settings and answer with them."""
    application.update_settings(services.database, read_settings(call.json()))
    return Reply(write_settings(application.settings(services.database)))


ROUTES = (
    Route("GET", "/application", retrieve_authenticated_application),
    Route("GET", "/application/settings", retrieve_authenticated_application_settings),
    Route("PUT", "/application/settings", update_authenticated_application_settings),
)
