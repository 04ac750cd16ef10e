"""Frozen dataclasses for the platform and for projects, without I/O."""
