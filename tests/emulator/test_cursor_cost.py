"""The cost of a page of messages, in steps of SQLite's virtual machine: the same for every page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ckfunc.emulator.store import messages, notifications
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.emulator.store.paging import CursorRequest
from ckfunc.emulator.store.steps import run
from ckfunc.model.page import Cursor, Relation

COUNT = 20_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Two channels and two users, each with COUNT messages and notifications in alternating order."""
    opened = open_database(tmp_path / "emulator.db", SCHEMA)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {2 * COUNT})"
    now = "2022-01-31T12:00:00.000Z"
    with opened.transaction():
        for name in ("a", "b"):
            opened.execute(
                "INSERT INTO users (type, name, display_name, is_guest, presence_status, properties, created_time)"
                f" VALUES ('PERSON', '{name}', '{name}', 0, 'UNAVAILABLE', '{{}}', '{now}')"
            )
            opened.execute(
                "INSERT INTO channels (type, name, display_name, properties, created_time)"
                f" VALUES ('PUBLIC', '{name}', '{name}', '{{}}', '{now}')"
            )
        opened.execute(
            f"INSERT INTO messages (channel_id, user_id, type, body, nested_level, properties, created_time) {numbers}"
            f" SELECT 1 + i % 2, 1 + i % 2, 'TEXT', 'text ' || i, 0, '{{}}', '{now}' FROM n"
        )
        opened.execute(
            "INSERT INTO notifications"
            f" (user_id, type, channel_id, message_id, title, body, muted, created_time) {numbers}"
            f" SELECT 1 + i % 2, 'USER:SENT:MESSAGE', 1 + i % 2, i, 'title', 'body', 0, '{now}' FROM n"
        )
    yield opened
    opened.close()


class Steps:
    """Counts the steps of SQLite's virtual machine, in tens."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        database.execute.__self__.set_progress_handler(self.step, 10)

    def step(self) -> int:
        self.count += 1
        return 0

    def taken(self) -> int:
        taken, self.count = self.count, 0
        return taken


@pytest.mark.parametrize("relation", [Relation.NEXT, Relation.SELF, Relation.PREVIOUS])
def test_a_page_of_messages_costs_the_same_at_the_start_and_the_end(database: Database, relation: Relation) -> None:
    steps = Steps(database)
    costs = []
    for position in (2 * COUNT - 200, COUNT, 200):
        request = CursorRequest(Cursor(position, position, relation), 25)
        page = run(messages.page(database, request, channel_id=1))
        assert len(page.items) == 25
        costs.append(steps.taken())
    assert max(costs) <= min(costs) * 1.2 + 5
    assert max(costs) < 25 * 20


def test_a_page_of_notifications_costs_the_same_at_the_start_and_the_end(database: Database) -> None:
    steps = Steps(database)
    costs = []
    for position in (2 * COUNT - 200, COUNT, 200):
        page = notifications.page(database, 1, CursorRequest(Cursor(None, position, Relation.NEXT), 25))
        assert len(page.items) == 25
        costs.append(steps.taken())
    assert max(costs) <= min(costs) * 1.2 + 5


def test_every_message_of_a_channel_is_visited_once(database: Database) -> None:
    seen: list[int] = []
    cursor = Cursor()
    while True:
        page = run(messages.page(database, CursorRequest(cursor, 2000), channel_id=1))
        seen += [item.id for item in page.items]
        if not page.has_next:
            break
        cursor = Cursor(page.start, page.next, Relation.NEXT)
    assert seen == list(range(2 * COUNT, 0, -2))
