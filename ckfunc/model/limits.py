"""Limits of an emulator that its commands and the emulator itself must agree on."""

from __future__ import annotations

KEPT_INVOCATIONS = 100_000
"""How many of the last invocations are kept, of all functions together."""
