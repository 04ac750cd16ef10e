"""Users of the application, and their secrets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from functools import lru_cache
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Condition, Database
from ckfunc.emulator.store.paging import PageRequest, Sorting, matching_ids, select_by_ids, select_page, where
from ckfunc.emulator.store.steps import listed
from ckfunc.model.chat import CallStatus, NewUser, Presence, User, UserReference, UserType
from ckfunc.model.page import Page

SCHEMA = """
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  display_picture_url TEXT,
  is_guest INTEGER NOT NULL,
  presence_status TEXT NOT NULL,
  online INTEGER NOT NULL DEFAULT 0,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL
) STRICT;
CREATE INDEX users_by_display_name ON users (display_name, id)
"""

SORTING = Sorting.of("users", "id", "name", "display_name", "is_guest", "type", "created_time")

PICTURES = "/v1/picture/"
"""The path of stored pictures, before their key."""

SECRETS_SCHEMA = """
CREATE TABLE user_secrets (
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  name TEXT NOT NULL,
  secret TEXT NOT NULL,
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID
"""


def create(database: Database, new: NewUser, user_id: int | None = None) -> User:
    """Store a person. The name must be free, and the id if one is given."""
    row_id = database.insert(
        "INSERT INTO users (id, type, name, display_name, is_guest, presence_status, properties, created_time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        user_id,
        UserType.PERSON.value,
        new.name,
        new.display_name,
        new.is_guest,
        Presence().status,
        json.dumps(dict(new.properties)),
        timestamp(database.now()),
    )
    return by_ids(database, [row_id])[row_id]


def get(database: Database, user_id: int | None) -> User | None:
    """Return a user, or None."""
    return database.read_one(read, "SELECT * FROM users WHERE id = ?", user_id)


def find_by_name(database: Database, name: str) -> User | None:
    """Return the user of that name, or None."""
    return database.read_one(read, "SELECT * FROM users WHERE name = ?", name)


def find(database: Database, reference: UserReference) -> User | None:
    """Return the user that a request refers to, or None."""
    if reference.id is not None:
        return get(database, reference.id)
    return None if reference.username is None else find_by_name(database, reference.username)


def by_ids(database: Database, ids: Iterable[int | None]) -> dict[int, User]:
    """Return the existing users among `ids`, by id; None is skipped."""
    return {row["id"]: read(row) for row in select_by_ids(database, "*", "users", ids)}


def page(
    database: Database,
    request: PageRequest,
    *,
    name: str | None = None,
    properties: Sequence[Condition] = (),
    condition: str = "TRUE",
) -> Generator[None, None, Page[User]]:
    """Return a page of users: of that name, with such properties, and for whom the SQL `condition` is true.

    Properties are searched for in small steps.
    """
    named, parameters = where(("users.name = ?", name))
    source = f"users WHERE {condition} AND {named}"
    if properties:
        ids = yield from matching_ids(database, "users", source, parameters, properties)
        source, parameters = "users WHERE users.id IN (SELECT value FROM json_each(?))", (listed(ids),)
    return select_page(database, "users.*", source, parameters, request=request, read=read)


def search(database: Database, request: PageRequest, text: str) -> Page[User]:
    """Return a page of the users whose name or display name contains a text, in any case."""
    if not text:
        return select_page(database, "users.*", "users", (), request=request, read=read)
    source = "users WHERE instr(lower(users.name), lower(?1)) OR instr(lower(users.display_name), lower(?1))"
    return select_page(database, "users.*", source, (text,), request=request, read=read)


def first(database: Database, most: int) -> tuple[User, ...]:
    """Return the first users."""
    return tuple(read(row) for row in database.all("SELECT * FROM users ORDER BY id LIMIT ?", most))


@frozen
class UserFilter:
    """Filters of a list of users: name, a part of the display name, online or not. None does not restrict."""

    name: str | None = None
    display_name: str | None = None
    online: bool | None = None

    def where(self) -> tuple[str, tuple[Any, ...]]:
        """Return SQL that is true for the users, and its parameters."""
        return where(
            ("users.name = ?", self.name),
            ("instr(lower(users.display_name), lower(?)) > 0", self.display_name),
            ("users.online = ?", self.online),
        )


_EVERYONE = UserFilter()


def members_page(
    database: Database, channel_id: int, request: PageRequest, user_filter: UserFilter = _EVERYONE
) -> Page[User]:
    """Return a page of a channel's members."""
    filters, values = user_filter.where()
    belongs = "users.id IN (SELECT user_id FROM channel_members WHERE channel_id = ?)"
    source = f"users WHERE {belongs} AND {filters}"
    return select_page(database, "users.*", source, (channel_id, *values), request=request, read=read)


def members(database: Database, channel_id: int) -> tuple[User, ...]:
    """Return all members of a channel, in the order of their ids."""
    rows = database.all(
        "SELECT users.* FROM channel_members JOIN users ON users.id = channel_members.user_id"
        " WHERE channel_members.channel_id = ? ORDER BY users.id",
        channel_id,
    )
    return tuple(read(row) for row in rows)


def contact_ids(database: Database, user_id: int) -> tuple[int, ...]:
    """Return the ids of the users who share a channel with a user."""
    contacts = database.column(
        "SELECT DISTINCT others.user_id FROM channel_members AS own JOIN channel_members AS others"
        " ON others.channel_id = own.channel_id WHERE own.user_id = ? AND others.user_id <> own.user_id",
        user_id,
    )
    return tuple(contacts)


def channel_ids(database: Database, user_id: int) -> tuple[int, ...]:
    """Return the ids of the channels that a user is a member of."""
    return tuple(database.column("SELECT channel_id FROM channel_members WHERE user_id = ?", user_id))


def update(database: Database, user: User) -> None:
    """Store what a patch can change in a user."""
    database.execute(
        "UPDATE users SET display_name = ?, is_guest = ?, presence_status = ?, properties = ? WHERE id = ?",
        (user.display_name, user.is_guest, user.presence.status, json.dumps(dict(user.properties)), user.id),
    )


def set_display_picture(database: Database, user: User, url: str) -> None:
    """Replace a user's picture. A stored picture has a path as its address, and is deleted when it is replaced."""
    with database.transaction():
        forget_picture(database, user)
        database.execute("UPDATE users SET display_picture_url = ? WHERE id = ?", (url, user.id))


def forget_picture(database: Database, user: User) -> None:
    """Delete a user's stored picture, if there is one."""
    if (user.display_picture_url or "").startswith(PICTURES):
        files.discard(database, "?", (user.display_picture_url or "").removeprefix(PICTURES))


@lru_cache(maxsize=2048)  # most events and responses repeat the same few users
def read(row: sqlite3.Row) -> User:
    """Return a row of the table `users` as a user."""
    return User(
        id=row["id"],
        name=row["name"],
        display_name=row["display_name"],
        is_guest=bool(row["is_guest"]),
        type=UserType(row["type"]),
        presence=Presence(row["presence_status"], online=bool(row["online"])),
        properties=json.loads(row["properties"]),
        display_picture_url=row["display_picture_url"],
        call_status=CallStatus.AVAILABLE,
    )


def put_secret(database: Database, user_id: int, name: str, secret: Any) -> None:
    """Store a value under a name, in place of the previous one."""
    database.execute("INSERT OR REPLACE INTO user_secrets VALUES (?, ?, ?)", (user_id, name, json.dumps(secret)))


def get_secret(database: Database, user_id: int, name: str) -> tuple[Any] | None:
    """Return the value under a name, which may be null, in a tuple; None if there is none."""
    row = database.one("SELECT secret FROM user_secrets WHERE user_id = ? AND name = ?", user_id, name)
    return None if row is None else (json.loads(row["secret"]),)


def remove_secret(database: Database, user_id: int, name: str) -> bool:
    """Delete the value under a name; return whether there was one."""
    sql = "DELETE FROM user_secrets WHERE user_id = ? AND name = ?"
    return database.execute(sql, (user_id, name)).rowcount > 0
