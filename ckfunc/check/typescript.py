"""The native TypeScript compiler: settings, installation, runs, reports.

A check extends the project's tsconfig.json, so its strictness, `lib`, `types`, `paths` and `allowJs` apply. ckfunc sets
module resolution, output and the list of files: handlers run as ckfunc bundles them, and the check covers exactly the
files that would be deployed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from platform import machine
from typing import Any

from ckfunc.base.errors import CkfuncError, DependenciesFailed
from ckfunc.base.files import lossy_text, read_file, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest
from ckfunc.check.findings import TYPESCRIPT_SUFFIXES, Finding
from ckfunc.check.subject import DIRECTORY, Subject
from ckfunc.runtime.node import bare_environment
from ckfunc.runtime.npm import NETWORK
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.processes import kill_group, start_group
from ckfunc.runtime.tools import (
    NODE_TYPES,
    PACKAGE,
    found_once,
    install_tool,
    make_runnable,
    node_types,
    own_node_types,
)

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

_RESULTS = (0, 1, 2)
"""Exit codes of a completed run."""

_COLOUR = "\x1b\\[[0-9;]*m"
_ERROR = re.compile(
    rf"{_COLOUR}(?P<path>[^\x1b]+){_COLOUR}:{_COLOUR}(?P<line>\d+){_COLOUR}:{_COLOUR}(?P<column>\d+){_COLOUR} - "
    rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)"
)
_ABSOLUTE_SOURCE = re.compile(r"(?<=\}) from \"(?:/|[A-Za-z]:/)[^\"\n]*\"(?=')")
_PACKAGE_DIRECTORY = re.compile(r"(?<=[\"'])(?:/|[A-Za-z]:/)[^\"'\n]*/node_modules/")
_ERROR_WITHOUT_PLACE = re.compile(rf"{_COLOUR}error{_COLOUR}{_COLOUR} (?P<code>TS\d+): {_COLOUR}(?P<message>.*)")
_UNDERLINE = re.compile(rf"\x1b\[7m *\x1b\[0m {_COLOUR} *(?P<waves>~+){_COLOUR}")
_LISTED_FILE = re.compile(r"(?:/|[A-Za-z]:/|\\\\|//)[^\x1b]*$")


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
        "include": [_UP + re.sub(r"[*?]", "?", path) for path in paths if path not in typed],
        "exclude": [],
    }
    return json.dumps(config, indent=1)


def write_settings(subject: Subject, declarations: Iterable[str], extra_declarations: Iterable[Path] = ()) -> None:
    """Write the compiler's settings and declarations into the check's own directory, where they have changed."""
    root = subject.root
    _write(root / ".ckfunc" / ".gitignore", "*\n")
    stubs = _write_stubs(subject)
    _write(root / _DEFAULTS, subject.ambient.settings)
    _write(root / CONFIG, config_text(subject, declarations, stubs, extra_declarations))


def settings_digest(root: Path) -> str:
    """Return a digest of the project's tsconfig.json and of the files of the project that it extends.

    Settings from packages are covered by the list of packages.
    """
    seen: dict[Path, str] = {}
    pending = [root / PROJECT_SETTINGS]
    while pending:
        path = pending.pop()
        if path in seen or (text := lossy_text(path)) is None:
            continue
        seen[path] = digest(text)
        for value in _EXTENDS.findall(text):
            for name in _STRING.findall(value):
                if name.startswith((".", "/")):
                    base = path.parent / name
                    pending += [base, base.with_name(base.name + ".json")]
    return digest(json.dumps(sorted(seen.values())))


def at_option(finding: Finding, root: Path) -> Finding:
    """Move a finding about settings to the line of the project's tsconfig.json that sets the option.

    For an option that the check's own settings inherit, the compiler names the check's file.
    """
    option = _OPTION.search(finding.message)
    for number, line in enumerate((lossy_text(root / PROJECT_SETTINGS) or "").splitlines(), 1):
        if option and (match := re.search(rf'"{option[1]}"\s*:', line)):
            return Finding(
                PROJECT_SETTINGS, number, match.start() + 1, finding.code, finding.message, len(option[1]) + 2
            )
    return Finding(PROJECT_SETTINGS, 0, 0, finding.code, finding.message)


class CompilerMissing(CkfuncError):
    """The TypeScript compiler, or the declarations that it needs, is not in the cache and could not be downloaded."""

    def __init__(self, reason: str, hint: str | None = None, *, package: str = f"TypeScript {TYPESCRIPT}") -> None:
        network = "it is downloaded once, into the cache: check the network, or the registry in .npmrc"
        super().__init__(f"types cannot be checked without {package}: {reason}", hint=hint or network)


class CompilerBroke(CkfuncError):
    """The TypeScript compiler ended without a result."""

    def __init__(self, output: str, program: Path) -> None:
        first = next((line.strip() for line in output.splitlines() if line.strip()), "no output")
        super().__init__(
            f"TypeScript {TYPESCRIPT} failed: {first}",
            hint=f"run the command again; if it fails again, remove {_installation(program)} to reinstall the compiler",
        )


def compiler(cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY) -> Path:
    """Return the path of the compiler; install it if needed.

    Raises CompilerMissing (also on a system that it does not support), CacheRefused and NodeMissing.
    """
    # The path is stored in a file: the package installer asks Node for its version, which takes as long as a check.
    note = cache / f"typescript-{TYPESCRIPT}-{sys.platform}-{machine()}"
    return make_runnable(found_once(note, lambda: _installed(cache, on_progress, policy)))


def declarations_of_node(
    root: Path, cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return the declarations of Node for the project at `root`: its own @types/node if it has one.

    Otherwise ckfunc's version is used, and installed if needed. Raises CompilerMissing and NodeMissing.
    """
    try:
        directory = own_node_types(root) or node_types(cache, on_progress, policy)
    except DependenciesFailed as problem:
        raise CompilerMissing(
            problem.message, None if problem.hint == NETWORK else problem.hint, package=f"{PACKAGE} {NODE_TYPES}"
        ) from problem
    # The packages that it depends on are next to its real directory, not next to a link to it.
    return directory.resolve() / "index.d.ts"


def run(program: Path, root: Path, options: Sequence[str]) -> CompilerReport:
    """Run the compiler in the directory `root`; paths in its report are relative to `root`.

    Raises CompilerBroke. An interrupt ends the compiler too.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = start_group(
                [str(program), *options, "--pretty", "true", "--listFiles", "--locale", "en"],
                cwd=root,
                env=bare_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )
        except OSError as error:
            raise CompilerBroke(error.strerror or str(error), program) from error
        try:
            status = process.wait()
        finally:
            kill_group(process)
            process.wait()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    report = parse_report(text)
    if status not in _RESULTS or bool(status) != bool(report.findings):
        raise CompilerBroke(text, program)
    return replace(report, findings=tuple(_with_local_names(finding, root) for finding in report.findings))


def _with_local_names(finding: Finding, root: Path) -> Finding:
    """Return a finding whose message names files by paths in the project, and packages without a directory."""
    message = _ABSOLUTE_SOURCE.sub("", finding.message)  # a suggestion with a path that nobody would write
    message = re.sub(rf"(?<=[\"']){re.escape(root.as_posix())}/", "", message)
    return replace(finding, message=_PACKAGE_DIRECTORY.sub("", message))


@frozen
class CompilerReport:
    """The output of a compiler run. `files` are absolute paths; a finding without a place has the path ""."""

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]


def parse_report(text: str) -> CompilerReport:
    """Parse the output of `tsc --pretty true --listFiles`.

    The pretty output is read, because the plain output does not contain the length of the code at fault. The format is
    that of the one compiler version that ckfunc installs.
    """
    errors: list[dict[str, str]] = []
    files: list[Path] = []
    in_message = False
    for line in text.splitlines():
        if error := _ERROR.match(line) or _ERROR_WITHOUT_PLACE.match(line):
            errors.append(error.groupdict())
            in_message = True
        elif in_message and line.startswith("  ") and not line.lstrip().startswith("\x1b"):
            errors[-1]["message"] += f"\n{line}"
        elif _LISTED_FILE.match(line):
            files.append(Path(line))
            in_message = False
        else:
            in_message = False
            if errors and "waves" not in errors[-1] and (underline := _UNDERLINE.match(line)):
                errors[-1]["waves"] = underline["waves"]
    return CompilerReport(tuple(_reported(error) for error in errors), tuple(files))


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


def _installed(cache: Path, on_progress: Callable[[str], None] | None, policy: InstallPolicy) -> Path:
    try:
        directory = install_tool({"typescript": TYPESCRIPT}, cache, on_progress, policy)
    except DependenciesFailed as problem:
        raise CompilerMissing(problem.message, None if problem.hint == NETWORK else problem.hint) from problem
    packages = directory / "node_modules" / "@typescript"
    # npm installs only the package for this system and processor. Its program is native, and starts without Node.
    for program in (*packages.glob("typescript-*/lib/tsc"), *packages.glob("typescript-*/lib/tsc.exe")):
        return program
    if any(packages.glob("typescript-*")):
        raise CompilerMissing("its installation is incomplete", hint=f"remove {directory} to reinstall it")
    raise CompilerMissing("it does not support this system", hint="run `ckfunc check` on another machine")


def _installation(program: Path) -> Path:
    """Return the directory into which the compiler was installed."""
    return next((parent.parent for parent in program.parents if parent.name == "node_modules"), program)


def _reported(error: dict[str, str]) -> Finding:
    return Finding(
        path=error.get("path", ""),
        line=int(error.get("line", 0)),
        column=int(error.get("column", 0)),
        code=error["code"],
        message=error["message"],
        length=len(error.get("waves", "~")),
    )
