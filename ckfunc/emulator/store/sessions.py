"""Sessions and typing of users, and their actions for recordings of conversations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, Sorting, select_by_ids, select_page, select_page_by_id
from ckfunc.model.chat import ChatSession, SessionState, User, UserSession
from ckfunc.model.page import Page

# `token` identifies a session of a client, which can continue it after a lost connection.
# `users.online` duplicates whether a user has an open session, because all responses with users need it.
SCHEMA = """
CREATE TABLE user_sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  user_agent TEXT,
  created_time TEXT NOT NULL,
  end_time TEXT,
  token TEXT
) STRICT;
CREATE INDEX user_sessions_of_user ON user_sessions (user_id, end_time);
CREATE INDEX user_sessions_by_token ON user_sessions (token) WHERE token IS NOT NULL;
CREATE INDEX user_sessions_open ON user_sessions (id) WHERE end_time IS NULL;
CREATE TABLE chat_sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id INTEGER NOT NULL REFERENCES user_sessions ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  created_time TEXT NOT NULL,
  end_time TEXT
) STRICT;
CREATE INDEX chat_sessions_of_session ON chat_sessions (session_id, end_time);
CREATE INDEX chat_sessions_of_user ON chat_sessions (user_id);
CREATE INDEX chat_sessions_of_channel ON chat_sessions (channel_id, end_time, user_id);
CREATE INDEX chat_sessions_open ON chat_sessions (id) WHERE end_time IS NULL
"""

TYPING_SCHEMA = """
CREATE TABLE typing (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  start_time TEXT NOT NULL,
  end_time TEXT
) STRICT;
CREATE INDEX typing_of_user ON typing (user_id);
CREATE INDEX typing_of_channel ON typing (channel_id)
"""

TOKENS_ADDED = """
ALTER TABLE user_sessions ADD COLUMN token TEXT;
CREATE INDEX user_sessions_by_token ON user_sessions (token) WHERE token IS NOT NULL
"""

_STATE = "CASE WHEN {0}.end_time IS NULL THEN 'ACTIVE' ELSE 'ENDED' END"
_SORTABLE = {"id": "{0}.id", "state": _STATE, "createdTime": "{0}.created_time", "endTime": "{0}.end_time"}

_USER_COLUMNS = {name: sql.format("user_sessions") for name, sql in _SORTABLE.items()}
USER_SESSIONS_SORTING = Sorting({**_USER_COLUMNS, "userAgent": "user_sessions.user_agent"})
CHAT_SESSIONS_SORTING = Sorting({name: sql.format("chat_sessions") for name, sql in _SORTABLE.items()})


def open_session(database: Database, user_id: int, user_agent: str | None, token: str | None = None) -> int:
    """Store that a user has connected, and return the id of the user session."""
    with database.transaction():
        database.execute("UPDATE users SET online = 1 WHERE id = ?", (user_id,))
        return database.insert(
            "INSERT INTO user_sessions (user_id, user_agent, created_time, token) VALUES (?, ?, ?, ?)",
            user_id,
            user_agent,
            timestamp(database.now()),
            token,
        )


def find_by_token(database: Database, token: str) -> UserSession | None:
    """Return the session that a client may continue, open or not, or None."""
    row = database.one("SELECT id FROM user_sessions WHERE token = ?", token)
    return None if row is None else _user_sessions(database, [row["id"]])[row["id"]]


def get(database: Database, session_id: int) -> UserSession | None:
    """Return a user session, or None."""
    return _user_sessions(database, [session_id]).get(session_id)


def token_of(database: Database, session_id: int) -> str | None:
    """Return the token with which a client can continue a session, or None."""
    row = database.one("SELECT token FROM user_sessions WHERE id = ?", session_id)
    token: str | None = None if row is None else row["token"]
    return token


def continue_session(database: Database, session: UserSession) -> None:
    """Store that a user has connected again, in an earlier session."""
    with database.transaction():
        database.execute("UPDATE users SET online = 1 WHERE id = ?", (session.user.id,))
        database.execute("UPDATE user_sessions SET end_time = NULL WHERE id = ?", (session.id,))


def forget_token(database: Database, session_id: int) -> None:
    """Store that no client can continue a session."""
    database.execute("UPDATE user_sessions SET token = NULL WHERE id = ?", (session_id,))


def close_session(database: Database, session_id: int) -> None:
    """Store that a session and its chat sessions have ended. A session that had already ended is not changed."""
    with database.transaction():
        now = timestamp(database.now())
        database.execute(
            "UPDATE chat_sessions SET end_time = ? WHERE session_id = ? AND end_time IS NULL", (now, session_id)
        )
        database.execute("UPDATE user_sessions SET end_time = ? WHERE id = ? AND end_time IS NULL", (now, session_id))
        database.execute(
            "UPDATE users SET online = EXISTS"
            " (SELECT 1 FROM user_sessions WHERE user_id = users.id AND end_time IS NULL)"
            " WHERE id = (SELECT user_id FROM user_sessions WHERE id = ?)",
            (session_id,),
        )


def open_session_of(database: Database, user_id: int) -> int | None:
    """Return the newest open session of a user, or None."""
    sql = "SELECT max(id) FROM user_sessions WHERE user_id = ? AND end_time IS NULL"
    session_id: int | None = database.value(sql, user_id)
    return session_id


def open_session_ids(database: Database, user_id: int) -> tuple[int, ...]:
    """Return the ids of a user's open sessions."""
    return tuple(database.column("SELECT id FROM user_sessions WHERE user_id = ? AND end_time IS NULL", user_id))


def start_chat(database: Database, session_id: int, channel_id: int) -> ChatSession:
    """Store that the user of an open session has opened a channel."""
    chat_session_id = database.insert(
        "INSERT INTO chat_sessions (session_id, user_id, channel_id, created_time)"
        " SELECT id, user_id, ?, ? FROM user_sessions WHERE id = ?",
        channel_id,
        timestamp(database.now()),
        session_id,
    )
    chat_session = get_chat(database, chat_session_id)
    assert chat_session is not None  # noqa: S101 - it was inserted above
    return chat_session


def end_chat(database: Database, chat_session_id: int) -> None:
    """Store that a user has left a channel. A chat session that had already ended is not changed."""
    sql = "UPDATE chat_sessions SET end_time = ? WHERE id = ? AND end_time IS NULL"
    database.execute(sql, (timestamp(database.now()), chat_session_id))


def end_chats_in(database: Database, channel_id: int, user_id: int) -> None:
    """Store that a user has left a channel, in every session."""
    sql = "UPDATE chat_sessions SET end_time = ? WHERE channel_id = ? AND user_id = ? AND end_time IS NULL"
    database.execute(sql, (timestamp(database.now()), channel_id, user_id))


def get_chat(database: Database, chat_session_id: int) -> ChatSession | None:
    """Return a chat session, or None."""
    rows = database.all("SELECT * FROM chat_sessions WHERE id = ?", chat_session_id)
    return next(iter(_read_chats(database, rows)), None)


def open_chats(database: Database, session_id: int) -> int:
    """Return the number of open chat sessions of a session."""
    return database.count("SELECT count(*) FROM chat_sessions WHERE session_id = ? AND end_time IS NULL", session_id)


def channels_of(database: Database, session_id: int) -> tuple[int, ...]:
    """Return the ids of the channels that are open in a session."""
    sql = "SELECT DISTINCT channel_id FROM chat_sessions WHERE session_id = ? AND end_time IS NULL"
    return tuple(database.column(sql, session_id))


def is_present(database: Database, channel_id: int, user_id: int) -> bool:
    """Return whether a user has an open chat session in a channel."""
    sql = "SELECT 1 FROM chat_sessions WHERE channel_id = ? AND end_time IS NULL AND user_id = ?"
    return database.one(sql, channel_id, user_id) is not None


def present(database: Database, channel_id: int) -> frozenset[int]:
    """Return the ids of the users with an open chat session in a channel."""
    sql = "SELECT DISTINCT user_id FROM chat_sessions WHERE channel_id = ? AND end_time IS NULL"
    return frozenset(database.column(sql, channel_id))


def participants_page(database: Database, channel_id: int, request: PageRequest) -> Page[User]:
    """Return a page of the users with an open chat session in a channel."""
    source = "users WHERE id IN (SELECT user_id FROM chat_sessions WHERE channel_id = ? AND end_time IS NULL)"
    return select_page(database, "users.*", source, (channel_id,), request=request, read=users.read)


def user_sessions_page(database: Database, request: PageRequest, state: SessionState | None) -> Page[UserSession]:
    """Return a page of the user sessions in a state (None: all)."""
    source = f"user_sessions WHERE {_IN_STATE[state]}"
    return select_page_by_id(
        database, "user_sessions", source, (), request=request, read=partial(_user_sessions, database)
    )


def chat_sessions_page(database: Database, request: PageRequest, state: SessionState | None) -> Page[ChatSession]:
    """Return a page of the chat sessions in a state (None: all)."""

    def read(ids: Sequence[int]) -> dict[int, ChatSession]:
        rows = select_by_ids(database, "*", "chat_sessions", ids)
        return {session.id: session for session in _read_chats(database, rows)}

    source = f"chat_sessions WHERE {_IN_STATE[state]}"
    return select_page_by_id(database, "chat_sessions", source, (), request=request, read=read)


_IN_STATE = {None: "TRUE", SessionState.ACTIVE: "end_time IS NULL", SessionState.ENDED: "end_time IS NOT NULL"}


def end_all(database: Database) -> None:
    """End all sessions when the emulator starts, because it may have been killed."""
    with database.transaction():
        for table in ("chat_sessions", "user_sessions"):
            database.execute(f"UPDATE {table} SET end_time = ? WHERE end_time IS NULL", (timestamp(database.now()),))  # noqa: S608 - ours
        database.execute("UPDATE users SET online = 0 WHERE online = 1")


def _user_sessions(database: Database, ids: Iterable[int]) -> dict[int, UserSession]:
    rows = select_by_ids(database, "*", "user_sessions", ids)
    whose = users.by_ids(database, (row["user_id"] for row in rows))
    return {
        row["id"]: UserSession(
            id=row["id"],
            user=whose[row["user_id"]],
            created_time=parse_timestamp(row["created_time"]),
            user_agent=row["user_agent"],
            end_time=_time(row["end_time"]),
        )
        for row in rows
    }


def _read_chats(database: Database, rows: Sequence[sqlite3.Row]) -> list[ChatSession]:
    within = _user_sessions(database, (row["session_id"] for row in rows))
    return [
        ChatSession(
            id=row["id"],
            session=within[row["session_id"]],
            channel_id=row["channel_id"],
            created_time=parse_timestamp(row["created_time"]),
            end_time=_time(row["end_time"]),
        )
        for row in rows
    ]


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text)


def begin_typing(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has started typing in a channel."""
    now = timestamp(database.now())
    database.execute(
        "INSERT INTO typing (user_id, channel_id, start_time) VALUES (?, ?, ?)", (user_id, channel_id, now)
    )


def end_typing(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has stopped typing in a channel."""
    database.execute(
        "UPDATE typing SET end_time = ? WHERE user_id = ? AND channel_id = ? AND end_time IS NULL",
        (timestamp(database.now()), user_id, channel_id),
    )


@frozen
class Occurrence:
    """Something that a user did: `kind` is that of an act, such as connects or starts_typing."""

    time: datetime
    kind: str
    user: str
    channel_id: int | None = None
    message_id: int | None = None
    text: str = ""


def occurrences(database: Database, since: datetime) -> list[Occurrence]:
    """Return what users have done since a moment, in the order of time."""
    rows = database.all(_SINCE, timestamp(since))
    return [Occurrence(parse_timestamp(row[0]), row[1], row[2], row[3], row[4], row[5] or "") for row in rows]


def open_at(database: Database, moment: datetime) -> list[Occurrence]:
    """Return the user sessions and chat sessions that were open at a moment, as connects and opens."""
    rows = database.all(_OPEN, timestamp(moment))
    return [Occurrence(moment, row[0], row[1], row[2]) for row in rows]


_SINCE = """
SELECT time, kind, users.name, channel_id, message_id, text FROM (
  SELECT created_time AS time, 'connects' AS kind, user_id, NULL AS channel_id, NULL AS message_id, NULL AS text
    FROM user_sessions WHERE created_time >= ?1
  UNION ALL SELECT end_time, 'disconnects', user_id, NULL, NULL, NULL FROM user_sessions WHERE end_time >= ?1
  UNION ALL SELECT created_time, 'opens', user_id, channel_id, NULL, NULL FROM chat_sessions WHERE created_time >= ?1
  UNION ALL SELECT end_time, 'closes', user_id, channel_id, NULL, NULL FROM chat_sessions WHERE end_time >= ?1
  UNION ALL SELECT created_time, 'joins', user_id, channel_id, NULL, NULL
    FROM channel_members WHERE created_time >= ?1
  UNION ALL SELECT reactions.created_time, 'reacts', reactions.user_id, messages.channel_id, messages.id, character
    FROM reactions JOIN messages ON messages.id = message_id WHERE reactions.created_time >= ?1
  UNION ALL SELECT start_time, 'starts_typing', user_id, channel_id, NULL, NULL FROM typing WHERE start_time >= ?1
  UNION ALL SELECT end_time, 'stops_typing', user_id, channel_id, NULL, NULL FROM typing WHERE end_time >= ?1
  UNION ALL SELECT read_receipts.created_time, 'reads', read_receipts.user_id, messages.channel_id, messages.id, NULL
    FROM read_receipts JOIN messages ON messages.id = message_id WHERE read_receipts.created_time >= ?1
) AS happened JOIN users ON users.id = happened.user_id ORDER BY time, kind = 'closes' DESC, message_id, users.id
"""

_OPEN = """
SELECT kind, users.name, channel_id FROM (
  SELECT 'connects' AS kind, user_id, NULL AS channel_id FROM user_sessions
    WHERE created_time < ?1 AND (end_time IS NULL OR end_time >= ?1)
  UNION SELECT 'opens', user_id, channel_id FROM chat_sessions
    WHERE created_time < ?1 AND (end_time IS NULL OR end_time >= ?1)
) AS open JOIN users ON users.id = open.user_id ORDER BY kind, users.id, channel_id
"""
