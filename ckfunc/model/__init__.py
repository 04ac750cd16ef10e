"""Frozen dataclasses of the platform and of a project, without I/O."""
