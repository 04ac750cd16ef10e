"""How a seed gets into the database: what is missing is added, what is there stays as it is."""

from __future__ import annotations

from ckfunc.base.errors import CkfuncError
from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.channel import ChannelType
from ckfunc.model.seed import Seed, SeedChannel, Seeded
from ckfunc.model.user import User, UserReference


class SeedRefused(CkfuncError):
    """A seed refers to somebody who is neither in it nor in the database, or wants an id that is taken."""


def apply(database: Database, seed: Seed) -> Seeded:
    """Add what `seed` holds, all of it or nothing, without an event or a notification. Raises SeedRefused.

    Users are told apart by name, channels as the platform does it. The messages of a channel are added with it: one
    that is there keeps what was said in it. So the same seed twice changes nothing.
    """
    with database.transaction():
        before = _counts(database)
        for one in seed.users:
            if users.find_by_name(database, one.name) is None:
                _require_free(database, ("users",), one.id, f"user {one.name!r}")
                users.create(
                    database,
                    name=one.name,
                    display_name=one.display_name,
                    is_guest=one.is_guest,
                    properties=one.properties,
                    user_id=one.id,
                )
        for planned in seed.channels:
            _add_channel(database, planned)
        return Seeded(*(now - then for now, then in zip(_counts(database), before, strict=True)))


def _add_channel(database: Database, planned: SeedChannel) -> None:
    new = planned.channel
    where = f"channel {new.name!r}" if new.name else "a direct channel"
    creator = None if new.creator is None else _referred(database, new.creator, where)
    members = [_referred(database, one, where) for one in new.members]
    if creator is not None:
        members.append(creator)
    count = database.value("SELECT count(*) FROM channels")
    free = planned.id is None or database.one("SELECT id FROM channels WHERE id = ?", planned.id) is None
    channel = channels.create(database, new, creator, members, channel_id=planned.id if free else None)
    added = database.value("SELECT count(*) FROM channels") > count
    if added:
        if not free:
            _require_free(database, ("channels",), planned.id, where)
        for message in planned.messages:
            sender = None if message.user is None else _referred(database, message.user, f"a message in {where}")
            _require_free(database, ("messages", "threads"), message.id, f"a message in {where}")
            messages.create(database, channel.id, message, sender, message_id=message.id)
    elif channel.type is not ChannelType.DIRECT:
        for one in members:
            channels.add_member(database, channel.id, one.id)


def _require_free(database: Database, tables: tuple[str, ...], wanted: int | None, what: str) -> None:
    """Raise SeedRefused when a row of one of the tables has this id; the transaction takes back what was added."""
    for table in tables if wanted is not None else ():
        if database.one(f"SELECT id FROM {table} WHERE id = ?", wanted) is not None:  # noqa: S608 - names from above
            raise SeedRefused(f"{what} cannot have the id {wanted}, which is taken", hint="leave the id away, or reset")


def _referred(database: Database, reference: UserReference, where: str) -> User:
    found = users.find(database, reference)
    if found is None:
        who = reference.id if reference.username is None else repr(reference.username[:100])
        raise SeedRefused(f"{where} refers to user {who}, who does not exist", hint="list all of them under `users`")
    return found


def _counts(database: Database) -> tuple[int, ...]:
    tables = ("users", "channels", "channel_members", "messages")
    return tuple(database.value(f"SELECT count(*) FROM {table}") for table in tables)  # noqa: S608 - the names above
