"""What must not be shown of a replay: environment values, and what clients sent to prove who they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ckfunc.base.secrets import MASK, SHORTEST, Masker, Secret

_PRIVATE = ("authParams", "auth_params")

Hide = Callable[[Any], Any]


class Redaction:
    """Masks secrets wherever they occur in a value."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = frozenset(one for one in secrets if len(one) >= SHORTEST)

    def of(self, args: Mapping[str, Any]) -> Hide:
        """Return what masks a value that belongs to a run with these arguments."""
        own = (Secret(one) for name in _PRIVATE for one in _texts(args.get(name)) if len(one) >= SHORTEST)
        masker = Masker((*self._secrets, *own))
        return lambda value: _hidden(value, masker)


def _hidden(value: Any, masker: Masker) -> Any:
    if isinstance(value, str):
        return masker(value)
    if isinstance(value, Mapping):
        return {masker(name): MASK if name in _PRIVATE else _hidden(inside, masker) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(one, masker) for one in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in masker:
        return masker(str(value))
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a value, as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for inside in value.values():
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)
