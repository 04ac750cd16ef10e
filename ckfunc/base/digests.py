"""How contents are named: by the SHA-256 of their exact text."""

from __future__ import annotations

import hashlib


def digest(text: str) -> str:
    """Return the SHA-256 of `text` as UTF-8, in hexadecimal (64 characters). Lone surrogates are allowed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
