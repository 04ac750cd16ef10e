"""What of an application a manifest can say: names and values that its rules allow."""

from __future__ import annotations

from ckfunc.manifest.definition import ENVIRONMENT, FUNCTION_NAME, FUNCTION_TYPE, PACKAGE_NAME, VERSION
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.sources import MAX_FILE_BYTES


def fits_type(trigger_type: str) -> bool:
    """Tell whether `functions` can hold this trigger type."""
    return _fits(FUNCTION_TYPE, trigger_type)


def fits_dependency(name: str, version: str) -> bool:
    """Tell whether `runtime.dependencies` can hold this package."""
    return _fits(PACKAGE_NAME, name) and _fits(VERSION, version)


def fits_variable(name: str) -> bool:
    """Tell whether `runtime.environment` can hold a variable of this name."""
    return _fits(ENVIRONMENT.key_rules, name)


def fits_name(name: str) -> bool:
    """Tell whether a function can be given this name."""
    return _fits(FUNCTION_NAME, name) and _encodes(name)


def fits_description(text: str) -> bool:
    """Tell whether a function can be given this description."""
    return _encodes(text)


def fits_script(text: str, *, blank: bool = False) -> bool:
    """Tell whether a file of the project can hold this script; a handler may not be `blank`."""
    return _encodes(text) and len(text.encode("utf-8")) <= MAX_FILE_BYTES and (blank or bool(text.strip()))


def _fits(rules: tuple[Rule, ...], text: str) -> bool:
    return _encodes(text) and all(rule.allows(text) for rule in rules)


def _encodes(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)
