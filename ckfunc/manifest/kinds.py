"""Kinds of values, for describing YAML files of ckfunc.

Validator and editor schema both read these descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern for texts, in the common syntax of Python and JavaScript. It must match the whole text.

    `wrong` continues the sentence after the value's name ("handler uses backslashes"). `forbidden` reverses the rule.
    """

    pattern: str
    wrong: str
    hint: str
    forbidden: bool = False

    def allows(self, text: str) -> bool:
        """Return whether `text` keeps the rule."""
        return (re.fullmatch(self.pattern, text) is None) is self.forbidden


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `secret` ones are never quoted in a message. With `whole_numbers`, an unquoted 42 is the text "42".

    With `choices`, it is one of those. `suggestions` are texts that editors offer.
    """

    rules: tuple[Rule, ...] = ()
    secret: bool = False
    whole_numbers: bool = False
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false, as YAML writes them."""

    default: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """Exactly this integer."""

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
    """Any JSON value; with `mapping`, an object."""

    mapping: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of one kind. `item` names one ("a case"); with `single`, a value that is not a list is a list of one.

    `when_empty` is the error message for `[]`, and its hint; None allows it.
    """

    item: str
    kind: Kind
    single: bool = False
    when_empty: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A key that a record knows; `also` is another spelling of it."""

    name: str
    kind: Kind
    doc: str
    required: bool = False
    also: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys. `name` is its name in the editor schema."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping with the user's keys. `entry` names one ("an environment variable").

    `suggestions` are keys that editors offer, with their descriptions. `when_empty` is the error message for `{}`,
    and its hint; None allows it.
    """

    entry: str
    key_rules: tuple[Rule, ...]
    kind: Kind
    suggestions: Mapping[str, str] = field(default_factory=dict)
    when_empty: tuple[str, str] | None = None


Kind: TypeAlias = Text | Flag | Number | Whole | Data | Items | Section | Entries
