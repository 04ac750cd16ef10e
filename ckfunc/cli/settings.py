"""What the options that every command takes were set to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Settings:
    """Filled in while the command line is parsed."""

    directory: Path | None = None
    target: str | None = None
    data_dir: Path | None = None
    """Where the emulator's data is, when `ckfunc emulator` was told."""
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
