"""Compiler settings of a check: the project's tsconfig.json, and ckfunc's own.

The check extends the project's tsconfig.json, so its strictness, `lib`, `types`, `paths` and `allowJs` apply. ckfunc
sets module resolution, output and the list of files: handlers run as ckfunc bundles them, and the check covers exactly
the files that would be deployed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.check.findings import TYPESCRIPT_SUFFIXES, Finding
from ckfunc.check.subject import DIRECTORY, Subject

TYPESCRIPT = "7.0.2"
"""The version of the compiler, independent of the project's packages, so that all machines get the same result."""

PROJECT_SETTINGS = "tsconfig.json"
CONFIG = f"{DIRECTORY}/tsconfig.json"
_DEFAULTS = f"{DIRECTORY}/defaults.json"
_STUBS = f"{DIRECTORY}/stubs.json"
_UP = "../../"

_FIXED: Mapping[str, Any] = {
    "module": "ESNext",
    "moduleResolution": "Bundler",
    "moduleDetection": "force",  # each handler declares its own `handleEvent`
    "allowImportingTsExtensions": True,
    "noEmit": True,
    "skipLibCheck": True,
    "incremental": False,
    "composite": False,
    "declaration": False,
}
"""Options that ckfunc sets."""

_UNSET = (
    *("rootDir", "outDir", "outFile", "declarationDir", "declarationMap", "emitDeclarationOnly"),
    *("tsBuildInfoFile", "sourceMap", "inlineSourceMap", "inlineSources", "mapRoot", "sourceRoot", "noCheck"),
    *("isolatedDeclarations", "noEmitOnError"),
    # The compiler no longer accepts these; an editor with an older one may need them.
    *("baseUrl", "downlevelIteration", "charset", "importsNotUsedAsValues", "preserveValueImports", "keyofStringsOnly"),
)
"""Options of the project that do not apply: they configure output, or are obsolete."""

_EXTENDS = re.compile(r'"extends"\s*:\s*(\[[^\]]*\]|"(?:\\.|[^"\\])*")')
_STRING = re.compile(r'"((?:\\.|[^"\\])*)"')
_OPTION = re.compile(r"[Oo]ption '(\w+)")


def has_settings(root: Path) -> bool:
    """Return whether the project has a tsconfig.json."""
    return (root / PROJECT_SETTINGS).is_file()


def config_text(
    subject: Subject, declarations: Iterable[str], stubs: Iterable[str], extra_declarations: Iterable[Path] = ()
) -> str:
    """Return the tsconfig.json of a check. `declarations` are the project's own `.d.ts` files."""
    paths = [script.path for script in subject.scripts]
    typed = [path for path in paths if path.endswith(TYPESCRIPT_SUFFIXES)]
    config = {
        "extends": _UP + PROJECT_SETTINGS if has_settings(subject.root) else f"./{Path(_DEFAULTS).name}",
        "compilerOptions": {**_FIXED, **dict.fromkeys(_UNSET)},
        "files": [
            *(_UP + path for path in (*typed, *declarations)),
            *(f"./{name}" for name in stubs),
            *(path.as_posix() for path in extra_declarations),
        ],
        # Unlike in `files`, JavaScript is checked here only if the project's settings enable it.
        "include": [_UP + _literal(path) for path in paths if path not in typed],
        "exclude": [],
    }
    return json.dumps(config, indent=1)


def _literal(path: str) -> str:
    return re.sub(r"[*?]", "?", path)


def write_settings(subject: Subject, declarations: Iterable[str], extra_declarations: Iterable[Path] = ()) -> None:
    """Write the compiler's settings and declarations into the check's own directory, where they have changed."""
    root = subject.root
    _write(root / ".ckfunc" / ".gitignore", "*\n")
    stubs = _write_stubs(subject)
    _write(root / _DEFAULTS, subject.ambient.settings)
    _write(root / CONFIG, config_text(subject, declarations, stubs, extra_declarations))


def _write_stubs(subject: Subject) -> tuple[str, ...]:
    """Generate the project's declarations if they are missing or outdated; return their names."""
    root, identity = subject.root, subject.ambient.identity
    try:
        index = json.loads(read_file(root / _STUBS))
        names = tuple(index["names"])
        if index["identity"] == identity and all((root / DIRECTORY / name).is_file() for name in names):
            return names
    except (OSError, ValueError, TypeError, KeyError):
        pass
    stubs = subject.ambient.stubs()
    for name, text in stubs.items():
        _write(root / DIRECTORY / name, text)
    _write(root / _STUBS, json.dumps({"identity": identity, "names": list(stubs)}))
    return tuple(stubs)


def _write(path: Path, text: str) -> None:
    try:
        same = read_file(path) == text.encode()
    except OSError:
        same = False
    if not same:
        write_atomically(path, text)


def settings_digest(root: Path) -> str:
    """Return a digest of the project's tsconfig.json and of the files of the project that it extends.

    Settings from packages are covered by the list of packages.
    """
    seen: dict[Path, str] = {}
    pending = [root / PROJECT_SETTINGS]
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        try:
            text = read_file(path).decode("utf-8", "replace")
        except OSError:
            continue
        seen[path] = digest(text)
        for value in _EXTENDS.findall(text):
            for name in _STRING.findall(value):
                if name.startswith((".", "/")):
                    base = path.parent / name
                    pending += [base, base.with_name(base.name + ".json")]
    return digest(json.dumps(sorted(seen.values())))


def settings_files(root: Path) -> tuple[Path, ...]:
    """Return the files that set the strictness of the check, existing or not."""
    return (root / PROJECT_SETTINGS,)


def at_option(finding: Finding, root: Path) -> Finding:
    """Move a finding about settings to the line of the project's tsconfig.json that sets the option.

    For an option that the check's own settings inherit, the compiler names the check's file.
    """
    option = _OPTION.search(finding.message)
    try:
        lines = read_file(root / PROJECT_SETTINGS).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for number, line in enumerate(lines, 1):
        if option and (found := re.search(rf'"{option[1]}"\s*:', line)):
            return Finding(
                PROJECT_SETTINGS, number, found.start() + 1, finding.code, finding.message, len(option[1]) + 2
            )
    return Finding(PROJECT_SETTINGS, 0, 0, finding.code, finding.message)
