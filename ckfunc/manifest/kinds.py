"""Kinds of values in the YAML files of ckfunc.

The validator and the editor schema are both based on these descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Rule:
    """A regular expression that must match the whole text, in the common syntax of Python and JavaScript.

    `wrong` completes a sentence that starts with the value's name ("handler uses backslashes"). With `forbidden`, the
    expression must not match.
    """

    pattern: str
    wrong: str
    hint: str
    forbidden: bool = False

    def allows(self, text: str) -> bool:
        """Return whether `text` complies with the rule."""
        return (re.fullmatch(self.pattern, text) is None) is self.forbidden


@dataclass(frozen=True, slots=True)
class Text:
    """A text. A `secret` text is never quoted in messages. With `whole_numbers`, an unquoted 42 is the text "42".

    With `choices`, it must be one of them. `suggestions` are texts that editors offer.
    """

    rules: tuple[Rule, ...] = ()
    secret: bool = False
    whole_numbers: bool = False
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """A YAML boolean: true or false. `default` is None if an absent one means neither."""

    default: bool | None = False


@dataclass(frozen=True, slots=True)
class Number:
    """A fixed integer."""

    value: int
    wrong: str
    hint: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Data:
    """Any JSON value; with `mapping`, any JSON object."""

    mapping: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of one kind. `item` names an item ("a case"); with `single`, a value that is not a list is a single item.

    `when_empty` is the error message for `[]`, with its hint; None allows it.
    """

    item: str
    kind: Kind
    single: bool = False
    when_empty: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A known key of a section; `also` is an alternative spelling."""

    name: str
    kind: Kind
    doc: str
    required: bool = False
    also: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys; `name` is used in the editor schema."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping with keys chosen by the user. `entry` names an entry ("an environment variable").

    `suggestions` are keys that editors offer, with their descriptions. `when_empty` is the error message for `{}`, with
    its hint; None allows it.
    """

    entry: str
    key_rules: tuple[Rule, ...]
    kind: Kind
    suggestions: Mapping[str, str] = field(default_factory=dict)
    when_empty: tuple[str, str] | None = None


Kind: TypeAlias = Text | Flag | Number | Whole | Data | Items | Section | Entries
