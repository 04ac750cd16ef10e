"""Valid parts of a manifest, as typed values with their positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ckfunc.manifest.tree import Mapping, Node, Scalar


@dataclass(frozen=True, slots=True)
class Leaf:
    """A valid text, boolean or number with its position."""

    node: Scalar
    data: str | bool | int = field(repr=False)

    @property
    def text(self) -> str:
        """The value as text."""
        return str(self.data)


@dataclass(frozen=True, slots=True)
class Branch:
    """The valid entries of a mapping, in order; `keys` has the positions of known keys, even with invalid values."""

    node: Mapping
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Checked] = field(default_factory=dict)

    def branch(self, name: str) -> Branch | None:
        """Return the valid mapping under `name`, or None."""
        value = self.values.get(name)
        return value if isinstance(value, Branch) else None

    def leaf(self, name: str) -> Leaf | None:
        """Return the valid text, boolean or number under `name`, or None."""
        value = self.values.get(name)
        return value if isinstance(value, Leaf) else None

    def text(self, name: str) -> str | None:
        """Return the valid value under `name` as text, or None."""
        leaf = self.leaf(name)
        return None if leaf is None else leaf.text

    def items(self, name: str) -> tuple[Checked, ...] | None:
        """Return the valid items of the list under `name`, or None if there is no list."""
        value = self.values.get(name)
        return value.items if isinstance(value, Row) else None

    def given(self, name: str) -> Given | None:
        """Return the user data under `name`, or None."""
        value = self.values.get(name)
        return value if isinstance(value, Given) else None

    def flag(self, name: str) -> bool:
        """Return the boolean under `name`; false if there is none."""
        leaf = self.leaf(name)
        return leaf is not None and leaf.data is True

    def leaves(self) -> dict[str, Leaf]:
        """Return the entries whose values are texts, booleans or numbers."""
        return {name: value for name, value in self.values.items() if isinstance(value, Leaf)}

    def branches(self) -> Iterator[tuple[str, Branch]]:
        """Yield the entries whose values are mappings."""
        for name, value in self.values.items():
            if isinstance(value, Branch):
                yield name, value


@dataclass(frozen=True, slots=True)
class Row:
    """The valid items of a list, in order."""

    node: Node
    items: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """User data: any JSON value."""

    node: Node
    data: Any = field(repr=False)


Checked: TypeAlias = Leaf | Branch | Row | Given
