"""Seeds: add missing rows, without changing existing ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from itertools import groupby, islice

from ckfunc.base.errors import CkfuncError
from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.imports import CHANNELS, MESSAGES, USERS, discard_notes, members_of, note, undo_unfinished
from ckfunc.model.chat import ChannelType, User, UserReference
from ckfunc.model.job import Seed, SeedChannel, Seeded

STEP_ROWS = 50
"""How many rows a step adds."""


class SeedRefused(CkfuncError):
    """A seed refers to an unknown user, or has an id that is taken."""


def apply(database: Database, seed: Seed) -> Seeded:
    """Add the content of `seed` atomically, without events or notifications. Raises SeedRefused.

    Users are identified by name, channels as on the platform. Messages are only added to new channels, so that adding
    the same seed again changes nothing.
    """
    with database.transaction():
        return _seeded(Counter(scope for scope, _ in _additions(database, seed)))


def in_steps(database: Database, seed: Seed) -> Generator[None, None, Seeded]:
    """Do the same as `apply` in small steps. No import may run concurrently, because both use the same notes."""
    yield from undo_unfinished(database, database.transaction)
    counts: Counter[str] = Counter()
    additions = _additions(database, seed)
    try:
        while True:
            with database.transaction():
                added = list(islice(additions, STEP_ROWS))
                for scope, rows in groupby(added, key=lambda addition: addition[0]):
                    note(database, scope, [row_id for _, row_id in rows])
            counts.update(scope for scope, _ in added)
            if not added:
                break
            yield
    except Exception:
        yield from undo_unfinished(database, database.transaction)
        raise
    discard_notes(database)
    return _seeded(counts)


def _seeded(counts: Counter[str]) -> Seeded:
    tables = (USERS, CHANNELS, MESSAGES)
    members = counts.total() - sum(counts[scope] for scope in tables)
    return Seeded(counts[USERS], counts[CHANNELS], members, counts[MESSAGES])


def _additions(database: Database, seed: Seed) -> Iterator[tuple[str, int]]:
    """Add missing rows, one in each step of the iterator, and yield the scope and id of each row."""
    for user in seed.users:
        if users.find_by_name(database, user.name) is None:
            _require_free(database, ("users",), user.id, f"user {user.name!r}")
            yield USERS, users.create(database, user, user.id).id
    for planned in seed.channels:
        yield from _add_channel(database, planned)


def _add_channel(database: Database, planned: SeedChannel) -> Iterator[tuple[str, int]]:
    new = planned.channel
    name = f"channel {new.name!r}" if new.name else "a direct channel"
    creator = None if new.creator is None else _referenced_user(database, new.creator, name)
    members = [_referenced_user(database, reference, name) for reference in new.members]
    if creator is not None:
        members.append(creator)
    count = database.value("SELECT count(*) FROM channels")
    free = planned.id is None or database.one("SELECT id FROM channels WHERE id = ?", planned.id) is None
    channel = channels.create(database, new, creator, members, channel_id=planned.id if free else None)
    scope = members_of(channel.id)
    if database.value("SELECT count(*) FROM channels") > count:
        if not free:
            _require_free(database, ("channels",), planned.id, name)
        yield CHANNELS, channel.id
        for member_id in channels.member_ids(database, channel.id):
            yield scope, member_id
        for message in planned.messages:
            sender = None if message.user is None else _referenced_user(database, message.user, f"a message in {name}")
            _require_free(database, ("messages", "threads"), message.id, f"a message in {name}")
            sent = messages.create(database, channel.id, message, sender, message_id=message.id)
            yield MESSAGES, sent.id
    elif channel.type is not ChannelType.DIRECT:
        for member in members:
            if not channels.is_member(database, channel.id, member.id):
                channels.add_member(database, channel.id, member.id)
                yield scope, member.id


def _require_free(database: Database, tables: tuple[str, ...], record_id: int | None, name: str) -> None:
    """Raise SeedRefused if a row of the tables has this id. The transaction then rolls back."""
    for table in tables if record_id is not None else ():
        if database.one(f"SELECT id FROM {table} WHERE id = ?", record_id) is not None:  # noqa: S608 - names from above
            raise SeedRefused(
                f"{name} cannot have the id {record_id}, which is taken", hint="remove the id, or reset the data"
            )


def _referenced_user(database: Database, reference: UserReference, place: str) -> User:
    user = users.find(database, reference)
    if user is None:
        message = f"{place} refers to user {reference.label}, who does not exist"
        raise SeedRefused(message, hint="list all of them under `users`")
    return user
