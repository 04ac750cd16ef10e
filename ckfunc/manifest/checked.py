"""Valid parts of a manifest, as typed values with their positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ckfunc.manifest.tree import Mapping, Node, Scalar


@dataclass(frozen=True, slots=True)
class Leaf:
    """A valid text, boolean or number, and its position."""

    node: Scalar
    data: str | bool | int = field(repr=False)

    @property
    def text(self) -> str:
        """The value as text."""
        return str(self.data)


@dataclass(frozen=True, slots=True)
class Branch:
    """The valid entries of a mapping, in order; `keys` are the positions of known keys, whatever the value."""

    node: Mapping
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Checked] = field(default_factory=dict)

    def branch(self, name: str) -> Branch | None:
        """Return the mapping under `name`, if there is a valid one."""
        value = self.values.get(name)
        return value if isinstance(value, Branch) else None

    def leaf(self, name: str) -> Leaf | None:
        """Return the text, boolean or number under `name`, if there is a valid one."""
        value = self.values.get(name)
        return value if isinstance(value, Leaf) else None

    def text(self, name: str) -> str | None:
        """Return the text under `name`, if there is a valid one."""
        leaf = self.leaf(name)
        return None if leaf is None else leaf.text

    def items(self, name: str) -> tuple[Checked, ...] | None:
        """Return the valid items of the list under `name`, None when there is no list."""
        value = self.values.get(name)
        return value.items if isinstance(value, Row) else None

    def given(self, name: str) -> Given | None:
        """Return the data under `name`, if there is any."""
        value = self.values.get(name)
        return value if isinstance(value, Given) else None

    def flag(self, name: str) -> bool:
        """Return the boolean under `name`; an absent one is false."""
        leaf = self.leaf(name)
        return leaf is not None and leaf.data is True

    def leaves(self) -> dict[str, Leaf]:
        """Return the names and single values of a mapping of those."""
        return {name: value for name, value in self.values.items() if isinstance(value, Leaf)}

    def branches(self) -> Iterator[tuple[str, Branch]]:
        """Yield the names and mappings of a mapping of mappings."""
        for name, value in self.values.items():
            if isinstance(value, Branch):
                yield name, value


@dataclass(frozen=True, slots=True)
class Row:
    """The valid items of a list, in its order."""

    node: Node
    items: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """User data: any JSON value."""

    node: Node
    data: Any = field(repr=False)


Checked: TypeAlias = Leaf | Branch | Row | Given
