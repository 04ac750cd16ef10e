"""Compiler settings of a check: the project's tsconfig.json, and ckfunc's own.

The project's tsconfig.json is extended as it is: how strict it is, its `lib`, `types`, `paths` and `allowJs` all count.
How modules are found, that nothing is written, and which files are judged is not its to say: handlers run as ckfunc
bundles them, and what is checked is what would be deployed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.check.findings import Finding
from ckfunc.check.subject import DIRECTORY, TYPESCRIPT_SUFFIXES, Subject

TYPESCRIPT = "7.0.2"
"""The version of the compiler, whatever the project has installed: the same verdict on every machine."""

PROJECT_SETTINGS = "tsconfig.json"
CONFIG = f"{DIRECTORY}/tsconfig.json"
_DEFAULTS = f"{DIRECTORY}/defaults.json"
_STUBS = f"{DIRECTORY}/stubs.json"
_UP = "../../"

_DECIDED: Mapping[str, Any] = {
    "module": "ESNext",
    "moduleResolution": "Bundler",
    "moduleDetection": "force",  # every handler declares a `handleEvent` of its own
    "allowImportingTsExtensions": True,
    "noEmit": True,
    "skipLibCheck": True,
    "incremental": False,
    "composite": False,
    "declaration": False,
}
"""Options that are ckfunc's to set."""

_TAKEN_BACK = (
    *("rootDir", "outDir", "outFile", "declarationDir", "declarationMap", "emitDeclarationOnly"),
    *("tsBuildInfoFile", "sourceMap", "inlineSourceMap", "inlineSources", "mapRoot", "sourceRoot", "noCheck"),
    *("isolatedDeclarations", "noEmitOnError"),
    # The compiler knows them no more; editors with an older one may need them.
    *("baseUrl", "downlevelIteration", "charset", "importsNotUsedAsValues", "preserveValueImports", "keyofStringsOnly"),
)
"""Options of the project that are about output, or about compilers of the past."""

_EXTENDS = re.compile(r'"extends"\s*:\s*(\[[^\]]*\]|"(?:\\.|[^"\\])*")')
_TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
_OPTION = re.compile(r"[Oo]ption '(\w+)")


def has_settings(root: Path) -> bool:
    """Tell whether the project has a tsconfig.json."""
    return (root / PROJECT_SETTINGS).is_file()


def config_text(subject: Subject, declarations: Iterable[str], stubs: Iterable[str], given: Iterable[Path] = ()) -> str:
    """Return the tsconfig.json of a check. `declarations` are the project's own `.d.ts` files, `given` any others."""
    paths = [one.path for one in subject.scripts]
    typed = [one for one in paths if one.endswith(TYPESCRIPT_SUFFIXES)]
    config = {
        "extends": _UP + PROJECT_SETTINGS if has_settings(subject.root) else f"./{Path(_DEFAULTS).name}",
        "compilerOptions": {**_DECIDED, **dict.fromkeys(_TAKEN_BACK)},
        "files": [
            *(_UP + one for one in (*typed, *declarations)),
            *(f"./{one}" for one in stubs),
            *(one.as_posix() for one in given),
        ],
        # Named like this, JavaScript counts only where the project's settings allow it.
        "include": [_UP + _literal(one) for one in paths if one not in typed],
        "exclude": [],
    }
    return json.dumps(config, indent=1)


def _literal(path: str) -> str:
    return re.sub(r"[*?]", "?", path)


def write_settings(subject: Subject, declarations: Iterable[str], given: Iterable[Path] = ()) -> None:
    """Write what the compiler is to read into the check's own directory; what is there already stays untouched."""
    root = subject.root
    _write(root / ".ckfunc" / ".gitignore", "*\n")
    stubs = _written_stubs(subject)
    _write(root / _DEFAULTS, subject.surroundings.settings)
    _write(root / CONFIG, config_text(subject, declarations, stubs, given))


def _written_stubs(subject: Subject) -> tuple[str, ...]:
    """Return the names of the project's declarations, which are made when they are not there as they should be."""
    root, identity = subject.root, subject.surroundings.identity
    try:
        kept = json.loads(read_file(root / _STUBS))
        names = tuple(kept["names"])
        if kept["identity"] == identity and all((root / DIRECTORY / name).is_file() for name in names):
            return names
    except (OSError, ValueError, TypeError, KeyError):
        pass
    stubs = subject.surroundings.stubs()
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
    """Return a digest of the project's tsconfig.json and of the files that it extends, as far as they are files of
    the project; those of packages are known by the packages."""
    seen: dict[Path, str] = {}
    waiting = [root / PROJECT_SETTINGS]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        try:
            text = read_file(path).decode("utf-8", "replace")
        except OSError:
            continue
        seen[path] = digest(text)
        for said in _EXTENDS.findall(text):
            for name in _TEXT.findall(said):
                if name.startswith((".", "/")):
                    base = path.parent / name
                    waiting += [base, base.with_name(base.name + ".json")]
    return digest(json.dumps(sorted(seen.values())))


def settings_files(root: Path) -> tuple[Path, ...]:
    """Return the files that decide how strictly is judged, existing or not."""
    return (root / PROJECT_SETTINGS,)


def at_its_option(finding: Finding, root: Path) -> Finding:
    """Return what is wrong with settings, placed where the project's tsconfig.json sets that option.

    The compiler complains of the check's own file when an option comes from one that it extends.
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
