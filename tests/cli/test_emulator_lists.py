"""`ckfunc emulator users`, `channels` and `messages`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator

SEED = """\
users:
  - {name: jane, display_name: Jane Doe}
  - {name: bob}
  - {name: "ev\\u202eil", is_guest: true}
channels:
  - name: support
    type: PUBLIC
    members: [jane, bob]
    messages:
      - {user: jane, body: "Hello\\nthere"}
      - {body: "\\e[31mred"}
  - {type: DIRECT, members: [jane, bob], messages: [{user: bob, body: psst}]}
  - {name: secret, type: PRIVATE, members: [bob]}
"""


@pytest.fixture
def seeded(ckfunc: Ckfunc, project: Path) -> Path:
    """The project, whose emulator has users, channels and messages."""
    (project / "people.yaml").write_text(SEED)
    assert ckfunc("-C", project, "emulator", "seed", "people.yaml").code == 0
    return project


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table below its header, without times."""
    return [line.split() for line in text.splitlines()[1:]]


def test_users_are_listed_with_their_kind_and_presence(ckfunc: Ckfunc, seeded: Path) -> None:
    ran = ckfunc("-C", seeded, "emulator", "users")
    assert ran.code == 0
    assert rows(ran.out) == [
        ["1", "jane", "Jane", "Doe", "person", "offline"],
        ["2", "bob", "person", "offline"],
        ["3", "ev\\u202eil", "guest", "offline"],
    ]
    members = json.loads(ckfunc("-C", seeded, "emulator", "users", "--channel", "secret", "--json").out)
    assert [(member["name"], "_links" in member) for member in members] == [("bob", False)]


def test_channels_are_listed_with_their_last_message_or_members(ckfunc: Ckfunc, seeded: Path) -> None:
    listed = ckfunc("-C", seeded, "emulator", "channels").out.splitlines()
    assert [line.split()[1] for line in listed] == ["TYPE", "public", "direct", "private"]
    assert "support" in listed[1]
    assert listed[1].endswith("system: \\u001b[31mred")
    assert "jane, bob" in listed[2]
    found = json.loads(ckfunc("-C", seeded, "emulator", "channels", "--user", "jane", "--json").out)
    assert [channel["id"] for channel in found] == [1, 2]
    found = json.loads(ckfunc("-C", seeded, "emulator", "channels", "--type", "private", "--json").out)
    assert [channel["name"] for channel in found] == ["secret"]


def test_messages_are_listed_on_one_line_each_newest_last(ckfunc: Ckfunc, seeded: Path) -> None:
    listed = ckfunc("-C", seeded, "emulator", "messages").out.splitlines()
    assert [line.split()[0] for line in listed] == ["ID", "1", "2", "3"]
    assert listed[1].split()[3:] == ["support", "jane", "Hello", "there"]
    assert listed[3].split()[3:] == ["jane,", "bob", "bob", "psst"]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--channel", "support"), [1, 2]),
        (("--channel", "2"), [3]),
        (("--user", "jane"), [1]),
        (("--user", "2"), [3]),
        (("--search", "PSST"), [3]),
        (("--before", "3", "-n", "1"), [2]),
        (("--channel", "secret"), []),
    ],
)
def test_messages_can_be_filtered(ckfunc: Ckfunc, seeded: Path, options: tuple[str, ...], ids: list[int]) -> None:
    ran = ckfunc("-C", seeded, "emulator", "messages", *options, "--json")
    assert [message["id"] for message in json.loads(ran.out)] == ids
    assert ("no messages" in ran.err) == (not ids)
    assert ("older messages are not shown: `ckfunc emulator messages --before 2`" in ran.err) == ("-n" in options)


def test_a_list_reports_its_page(ckfunc: Ckfunc, seeded: Path) -> None:
    first = ckfunc("-C", seeded, "emulator", "users", "-n", "2")
    assert [line[1] for line in rows(first.out)] == ["jane", "bob"]
    assert first.err == "page 1 of 2, 3 users in total; --page 2 shows the next\n"
    last = ckfunc("-C", seeded, "emulator", "users", "-n", "2", "--page", "2")
    assert [line[1] for line in rows(last.out)] == ["ev\\u202eil"]
    assert last.err == "page 2 of 2, 3 users in total\n"
    beyond = ckfunc("-C", seeded, "emulator", "users", "--page", "9")
    assert (beyond.out, beyond.err) == ("", "no users on page 9: there is 1 page\n")


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        (("users", "--channel", "suport"), "there is no channel 'suport'", "did you mean support?"),
        (("messages", "--channel", "99"), "there is no channel '99'", "`ckfunc emulator channels` lists the channels"),
        (("channels", "--user", "jnae"), "there is no user 'jnae'", "did you mean jane?"),
        (
            ("channels", "--user", "jane", "--type", "DIRECT"),
            "--user and --type can't be used together",
            "use only one of them",
        ),
    ],
)
def test_an_unknown_name_is_reported_in_one_sentence_with_a_hint(
    ckfunc: Ckfunc, seeded: Path, command: tuple[str, ...], message: str, hint: str
) -> None:
    ran = ckfunc("-C", seeded, "emulator", *command)
    assert ran.code in (1, 2)
    assert ran.err.startswith(f"error: {message}\n")
    assert hint in ran.err


def test_an_empty_emulator_lists_nothing_and_missing_data_is_an_error(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "emulator", "users")
    assert ran.code == 1
    assert "there is no emulator data in" in ran.err
    assert "hint: run `ckfunc emulator`" in ran.err
    (project / "empty.yaml").write_text("users: []\n")
    assert ckfunc("-C", project, "emulator", "seed", "empty.yaml").code == 0
    for command in ("users", "channels"):
        ran = ckfunc("-C", project, "emulator", command)
        assert (ran.code, ran.out) == (0, "")
        assert ran.err == f"no {command}; `ckfunc emulator seed FILE` adds some\n"
    ran = ckfunc("-C", project, "emulator", "messages", "--json")
    assert json.loads(ran.out) == []
    assert ran.err == "no messages\n"


def test_lists_work_for_running_emulators_and_other_data_directories(
    ckfunc: Ckfunc, seeded: Path, tmp_path: Path
) -> None:
    with Emulator(seeded / ".ckfunc" / "emulator", cache=cache_dir()):
        assert "jane" in ckfunc("-C", seeded, "emulator", "users").out
    other = tmp_path / "other"
    (tmp_path / "one.yaml").write_text("users: [{name: zoe}]\n")
    assert ckfunc("emulator", "seed", tmp_path / "one.yaml", "--data-dir", other).code == 0
    assert "zoe" in ckfunc("emulator", "users", "--data-dir", other).out
    assert "zoe" in ckfunc("emulator", "--data-dir", other, "users").out
