"""The secrets of a user."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.resources import references
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import users
from ckfunc.wire.reading import NAME_LIMIT
from ckfunc.wire.users import read_secret, write_secret, write_user


def retrieve_user_secret(call: Call, services: Services) -> Reply:
    """Answer with a user's secret of that name."""
    user = references.user(services.database, call.id())
    found = users.get_secret(services.database, user.id, _name(call))
    if found is None:
        raise Missing(f"user {user.id} has no secret {_name(call)[:100]!r}")
    return Reply(write_secret(found[0]))


def set_user_secret(call: Call, services: Services) -> Reply:
    """Keep a user's secret, any JSON value, in place of the one before it; answer with the user."""
    user = references.user(services.database, call.id())
    users.put_secret(services.database, user.id, _name(call), read_secret(call.json()))
    return Reply(write_user(user, call.links))


def remove_user_secret(call: Call, services: Services) -> Reply:
    """Forget a user's secret, and answer with the user."""
    user = references.user(services.database, call.id())
    if not users.remove_secret(services.database, user.id, _name(call)):
        raise Missing(f"user {user.id} has no secret {_name(call)[:100]!r}")
    return Reply(write_user(user, call.links))


def _name(call: Call) -> str:
    name = call.parameters["name"]
    if len(name) > NAME_LIMIT:
        raise Refused(f"the secret's name has {len(name)} characters; at most {NAME_LIMIT} are allowed")
    return name


ROUTES = (
    Route("GET", "/users/{id}/secrets/{name}", retrieve_user_secret),
    Route("PUT", "/users/{id}/secrets/{name}", set_user_secret),
    Route("DELETE", "/users/{id}/secrets/{name}", remove_user_secret),
)
