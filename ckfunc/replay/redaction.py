"""What must not be shown of a replay: environment values, and what clients sent to prove who they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from ckfunc.base.secrets import masked

SHORTEST = 4
"""Shorter values would be found in the middle of any word."""
_PRIVATE = ("authParams", "auth_params")

Hide = Callable[[Any], Any]


class Redaction:
    """Masks secrets wherever they occur in a value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(form for one in secrets if len(one) >= SHORTEST for form in _forms(one))

    def of(self, args: Mapping[str, Any]) -> Hide:
        """Return what masks a value that belongs to a run with these arguments."""
        texts = (one for name in _PRIVATE for one in _texts(args.get(name)) if len(one) >= SHORTEST)
        own = {form for one in texts for form in _forms(one)}
        # The longest first: one may be a part of another.
        known = sorted(self._secrets | own, key=lambda one: (-len(one), one))
        return lambda value: _hidden(value, known)


def _hidden(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for one in secrets:
            if one in value:
                value = value.replace(one, masked(one))
        return value
    if isinstance(value, Mapping):
        return {
            _hidden(name, secrets): "••••" if name in _PRIVATE else _hidden(inside, secrets)
            for name, inside in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(one, secrets) for one in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in secrets:
        return masked(str(value))
    return value


def _forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, and as it stands in an address."""
    return secret, quote(secret, safe=""), quote_plus(secret)


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
