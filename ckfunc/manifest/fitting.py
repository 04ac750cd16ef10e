"""What of an application a manifest can say: names and values that its rules allow."""

from __future__ import annotations

from ckfunc.manifest.definition import (
    ENVIRONMENT,
    FUNCTION_NAME,
    FUNCTION_TYPE,
    PACKAGE_NAME,
    PLATFORM_PACKAGES,
    VERSION,
)
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.sources import MAX_FILE_BYTES


def fits_type(trigger_type: str) -> bool:
    """Tell whether `functions` can hold this trigger type."""
    return _fits(FUNCTION_TYPE, trigger_type)


def fits_dependency(name: str, version: str) -> bool:
    """Tell whether `runtime.dependencies` can hold this package."""
    return _fits(PACKAGE_NAME, name) and _fits(VERSION, version)


def dependency_mistake(name: str, version: str) -> str | None:
    """Return why an npm package cannot be a dependency, by the manifest's own rules; None when it can.

    The platform's own packages have acceptable names.
    """
    if name not in PLATFORM_PACKAGES and (wrong := _mistake(PACKAGE_NAME, name)) is not None:
        return f"{name[:80]!r} {wrong}"
    wrong = _mistake(VERSION, version)
    return None if wrong is None else f"version {version[:80]!r} of package {name} {wrong}"


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


def _mistake(rules: tuple[Rule, ...], text: str) -> str | None:
    if not _encodes(text):
        return "holds characters that are no text"
    return next((f"{rule.wrong} ({rule.hint})" for rule in rules if not rule.allows(text)), None)


def _fits(rules: tuple[Rule, ...], text: str) -> bool:
    return _encodes(text) and all(rule.allows(text) for rule in rules)


def _encodes(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)
