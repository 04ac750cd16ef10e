"""Secrets: a type that masks itself, and a masker for text."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import quote, quote_plus

from ckfunc.base.text import digest, one_line

MASK = "••••"
SHORTEST = 4
"""The minimum length of a secret to mask: shorter ones would match inside ordinary words."""

_SALT = os.urandom(16).hex()


class Secret:
    """A text that `str`, `repr`, `format` and `json_default` show as a mask.

    The mask is `•••• ` and six hexadecimal digits, which are the same for equal texts, but different in each process.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text. Call this only to send it to the platform or Node, or to store it with other secrets."""
        return self._text

    def __str__(self) -> str:
        return f"{MASK} {digest(_SALT + self._text)[:6]}"

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
    """Wrap the values of a mapping as secrets."""
    return {name: Secret(text) for name, text in texts.items()}


def revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Return the texts of a mapping of secrets; see `Secret.reveal`."""
    return {name: secret.reveal() for name, secret in secrets.items()}


def json_default(value: object) -> str:
    """Return a secret's mask, as `default` of `json.dumps`. Raises TypeError for anything else."""
    if isinstance(value, Secret):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class Masker:
    """Masks secrets in text, also if they are escaped, percent-encoded, or their white space was changed."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = {form: secret for secret in secrets if secret for form in _forms(secret.reveal())}
        longest_first = sorted(self._secrets, key=len, reverse=True)  # a secret may contain another
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __contains__(self, text: object) -> bool:
        return text in self._secrets

    def __call__(self, text: str) -> str:
        """Return `text` with every secret in it masked."""
        return self._pattern.sub(lambda match: str(self._secrets[match[0]]), text) if self._pattern else text


def _forms(secret: str) -> set[str]:
    """Return the forms in which a program may print a secret."""
    # Imported here, because `ckfunc --version` imports this module.
    import html

    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    with suppress(UnicodeEncodeError):  # half of a surrogate pair has no encoded form
        escaped |= {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    written = {secret, html.escape(secret), *escaped}
    return written | {one_line(form) for form in written} - {""}
