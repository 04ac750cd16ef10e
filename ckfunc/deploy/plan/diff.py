"""Differences between wanted and actual values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ChangeAction(StrEnum):
    """The effect of a change."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A value that differs. `before` is None for a created value, `after` for a removed one."""

    kind: str
    name: str
    action: ChangeAction
    before: object = None
    after: object = None


def diff(kind: str, want: Mapping[str, object], have: Mapping[str, object]) -> tuple[ResourceChange, ...]:
    """Return the changes that turn `have` into `want`, sorted by name."""
    return tuple(
        ResourceChange(kind, name, _action(name, want, have), before=have.get(name), after=want.get(name))
        for name in sorted({*want, *have})
        if name not in want or name not in have or want[name] != have[name]
    )


def _action(name: str, want: Mapping[str, object], have: Mapping[str, object]) -> ChangeAction:
    if name not in have:
        return ChangeAction.CREATE
    return ChangeAction.UPDATE if name in want else ChangeAction.REMOVE
