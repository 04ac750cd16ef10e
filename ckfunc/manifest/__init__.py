"""The manifest: `functions.yaml` and the files that it refers to."""

from __future__ import annotations

from ckfunc.manifest.definition import json_schema
from ckfunc.manifest.edit import add_function
from ckfunc.manifest.project import (
    dependency_places,
    emulator_target,
    environment_texts,
    find_root,
    find_target,
    function_types,
    guests_allowed,
    is_protected,
    load,
    managed_packages,
    referenced_variables,
    setting_paths,
    targets,
    watched_files,
)
from ckfunc.manifest.variables import connection_variables

__all__ = [
    "add_function",
    "connection_variables",
    "dependency_places",
    "emulator_target",
    "environment_texts",
    "find_root",
    "find_target",
    "function_types",
    "guests_allowed",
    "is_protected",
    "json_schema",
    "load",
    "managed_packages",
    "referenced_variables",
    "setting_paths",
    "targets",
    "watched_files",
]
