"""A type for secrets that masks itself, and a masker for texts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from ckfunc.base.text import one_line

MASK = "••••"
SHORTEST = 4
"""Shorter secrets would be found in the middle of any word."""

_SALT = os.urandom(16)


class Secret:
    """A text that is shown as a mask by `str`, `repr`, `format` and `json_default`.

    The mask is `•••• ` and six hexadecimal digits that are the same for equal texts within this process alone.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text: only where it leaves for the platform, for Node, or for a keyring or file of secrets."""
        return self._text

    def __str__(self) -> str:
        import hashlib  # `ckfunc --version` imports this module, and shows no secret

        digest = hashlib.blake2s(self._text.encode("utf-8", "surrogatepass"), key=_SALT).hexdigest()
        return f"{MASK} {digest[:6]}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __len__(self) -> int:
        return len(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self


def secret_values(texts: Mapping[str, str]) -> dict[str, Secret]:
    """Return texts by name as secrets."""
    return {name: Secret(text) for name, text in texts.items()}


def revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Return the texts of secrets by name; see `Secret.reveal`."""
    return {name: one.reveal() for name, one in secrets.items()}


def json_default(value: object) -> str:
    """Return a secret's mask: for the `default` of `json.dumps`. Raises TypeError for anything else."""
    if isinstance(value, Secret):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class Masker:
    """Masks secrets in texts, also where they are escaped, quoted for an address, or respaced."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._known = {form: one for one in secrets if one for form in _forms(one.reveal())}
        longest_first = sorted(self._known, key=len, reverse=True)  # one may be a part of another
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __contains__(self, text: object) -> bool:
        return text in self._known

    def __call__(self, text: str) -> str:
        """Return `text` with every secret in it masked."""
        return self._pattern.sub(lambda found: str(self._known[found[0]]), text) if self._pattern else text


def _forms(secret: str) -> set[str]:
    """Return the ways in which a program that quotes its input may write a secret."""
    # Of use here alone, and `ckfunc --version` imports this module.
    import html
    import json
    from urllib.parse import quote, quote_plus

    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    with suppress(UnicodeEncodeError):  # half a surrogate pair has no other form
        escaped |= {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    written = {secret, html.escape(secret), *escaped}
    return written | {one_line(one) for one in written} - {""}
