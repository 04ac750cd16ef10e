"""`ckfunc trigger --data`: encodings and invalid input from shells, files and pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.commands.trigger import event_from

EVENT = '{"username": "jané"}'
READ = "from ckfunc.cli.commands.trigger import event_from; print(ascii(event_from('-', None)))"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_an_event_may_use_any_utf_encoding_in_any_locale(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes(EVENT.encode(encoding))
    assert event_from("@event.json", tmp_path) == {"username": "jané"}
    piped = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", READ],
        input=EVENT.encode(encoding),
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
    )
    assert piped.stdout.decode().strip() == r"{'username': 'jan\xe9'}"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("{", "--data is not JSON: it ends too early at line 1, column 2"),
        ("", "--data is not JSON: it is empty"),
        ("username=jane", "--data is not JSON: a value is expected at line 1, column 1"),
        ("{username: 1}", "--data is not JSON: a name in double quotes is expected at line 1, column 2"),
        ('{"a" 1}', "--data is not JSON: a colon is expected at line 1, column 6"),
        ('{\n"a": 1 "b": 2}', "--data is not JSON: a comma or a closing bracket is expected at line 2, column 8"),
        ('{"a": "b}', "--data is not JSON: a closing quote is missing for the string at line 1, column 7"),
        ('{"a": "b\nc"}', "--data is not JSON: a string has a line break or another control character at line 1"),
        ('{"a": "\\x"}', "--data is not JSON: a string has an invalid backslash escape at line 1, column 8"),
        ('{"a": 1} {}', "--data is not JSON: more text follows the first value at line 1, column 10"),
        ("[" * 100_000, "--data is not JSON: it is nested too deeply"),
        ('{"a": ' * 250 + "1" + "}" * 250, "--data is not JSON: it is nested too deeply"),
        ('{"a": NaN}', "--data is not JSON: NaN is not a JSON value"),
        ('{"a": [1e999]}', "--data is not JSON: the number 1e999 is too large"),
        ('{"a": 1' + "0" * 5000 + "}", "--data is not JSON: a number has too many digits"),
        ('{"a": "\\ud800"}', "--data is not JSON: it contains half of a surrogate pair"),
        ("[1]", "--data is not a JSON object"),
        ("@", "the path after --data @ is empty"),
        ("@absent.json", "cannot read the event: "),
    ],
)
def test_invalid_event_data_is_a_usage_error(data: str, problem: str) -> None:
    with pytest.raises(UsageProblem) as raised:
        event_from(data, Path())
    assert raised.value.message.startswith(problem)
    assert raised.value.hint


def test_undecodable_event_data_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UsageProblem, match=r"is not JSON: it is not UTF-8 \(byte 7\)"):
        event_from(f"@{tmp_path / 'event.json'}", tmp_path)


def test_an_event_without_data_has_no_fields() -> None:
    assert event_from(None, Path()) == {}
