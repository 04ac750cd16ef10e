"""Parts of an application as files of a project: references and values of variables in .env files."""

from __future__ import annotations

import io

import pytest
from dotenv.parser import parse_stream
from hypothesis import given
from hypothesis import strategies as st

from ckfunc.base.secrets import secret_values
from ckfunc.pull.remote import env_text, reference_names
from ckfunc.scaffold.types import example_text

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_values_survive_an_env_file_or_are_reported_as_unwritable(values: dict[str, str]) -> None:
    made = env_text("# mine\nexport OTHER='x'\n", values)
    read = {binding.key: binding.value for binding in parse_stream(io.StringIO(made.text, newline="")) if binding.key}
    own = {name: value for name, value in values.items() if name not in made.unwritable}
    assert read == {"OTHER": "x", **own}
    assert made.text.startswith("# mine\n")
    assert env_text(made.text, values).text == made.text


@pytest.mark.parametrize(
    "value", ["plain", "", "a b", " edges ", "#no", "a #b", "it's", '"', "\\", "a\\", "\n", "$X ${Y}", "'\"\\n"]
)
def test_values_with_shell_syntax_are_written_to_an_env_file(value: str) -> None:
    made = env_text("", {"KEY": value, "NEXT": "x"})
    assert made.unwritable == ()
    assert [(binding.key, binding.value) for binding in parse_stream(io.StringIO(made.text))] == [
        ("KEY", value),
        ("NEXT", "x"),
    ]


def test_a_changed_value_of_an_env_file_is_replaced_in_place() -> None:
    text = "# a\nA=1\n\n# b\nB='old'  # why\nC=3"
    assert env_text(text, {"B": "new", "D": "4"}).text == "# a\nA=1\n\n# b\nB=new\nC=3\nD=4\n"
    assert env_text(text, {"A": "1", "B": "old"}).text == f"{text}\n"


def test_the_example_lists_every_variable_once_without_values() -> None:
    assert example_text("A=1\n# B=\n", ["A", "B", "C"]) == "A=1\n# B=\nC=\n"
    assert example_text(None, ["A"]).endswith("A=\n")


def test_a_variable_that_the_shell_defines_differently_gets_another_name() -> None:
    environment = {"HOME": "/app", "SAME": "x", "APP_HOME": "y"}
    names = reference_names(secret_values(environment), {"HOME": "/home/jane", "SAME": "x"})
    assert names == {"HOME": "APP_APP_HOME", "SAME": "SAME", "APP_HOME": "APP_HOME"}
