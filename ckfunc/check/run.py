"""Incremental check of scripts' syntax and types, with cached results."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import locked, read_checked, read_file, write_checked
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest
from ckfunc.check.findings import TYPESCRIPT_SUFFIXES, Finding
from ckfunc.check.subject import DIRECTORY, Bundle, Parse, ProjectFiles, Subject, Tools, list_files
from ckfunc.check.typescript import (
    CONFIG,
    TYPESCRIPT,
    CompilerReport,
    at_option,
    config_text,
    has_settings,
    run,
    settings_digest,
    write_settings,
)
from ckfunc.model.project import Script
from ckfunc.runtime.compiler import programs_digest
from ckfunc.runtime.tools import NODE_TYPES

REQUIREMENT = "runtime"
"""The code of an unmet requirement of a script: a package, or the function handleEvent."""
CONFLICT = "conflict"
"""The code of an unresolved merge conflict."""
_MARKERS = frozenset({"TS1185", "syntax"})
"""The codes of the errors that the compiler and Node report at conflict markers."""
_NO_MODULE = frozenset({"TS2307", "TS2792", "TS2882", "TS7016"})

_FILE = f"{DIRECTORY}/results.json"
_FORMAT = 1
_MAX_RESULTS = 8
"""More than one: for several targets, and for checks of selected functions."""


@frozen
class CheckResult:
    """The findings of a check, sorted by place.

    `files` are the files whose types were checked, relative to the project: scripts and the modules that they import.
    `from_cache` is set if nothing had changed since the last check.
    """

    findings: tuple[Finding, ...]
    files: tuple[str, ...] = ()
    from_cache: bool = False


def check_scripts(subject: Subject, *, parse: Parse, tools: Callable[[], Tools], bundle: Bundle = tuple) -> CheckResult:
    """Check the syntax and the types of scripts.

    `parse` and `tools` (which installs them) are called only if something has changed since the last check, `bundle`
    always. Writes only to `.ckfunc/check` of the project. Raises what the three raise, and CompilerBroke.
    """
    scripts = subject.scripts
    if not scripts:
        return CheckResult(())
    with locked(subject.root / DIRECTORY / "lock"):
        cache, project_files = load_cache(subject.root), list_files(subject.root)
        syntax = {script.path: _syntax_key(script) for script in scripts}
        unparsed = [script for script in scripts if syntax[script.path] not in cache.syntax]
        types = cache.lookup(_key(subject, project_files), subject.root)
        from_cache = not unparsed and types is not None
        if types is not None and not unparsed:
            bundle_errors = bundle()
        else:
            bundle_errors, types = _check_changed(
                subject, project_files, cache, unparsed, types, (parse, tools, bundle)
            )
            save_cache(subject.root, cache, syntax.values())
    syntax_errors = [
        replace(error, path=script.path) for script in scripts if (error := cache.syntax[syntax[script.path]])
    ]
    files = tuple(name for name in types.files if _is_own(name))
    return CheckResult(_merged(types.findings, (*syntax_errors, *bundle_errors)), files, from_cache)


@frozen
class CachedCheck:
    """The compiler's findings and the digests of the files that it read, by path below the project or absolute."""

    findings: tuple[Finding, ...]
    files: Mapping[str, str]


@dataclass(slots=True)
class ResultCache:
    """The results cached in a project. `syntax` has the syntax error of each script; None for one that parses."""

    results: dict[str, CachedCheck] = field(default_factory=dict)
    syntax: dict[str, Finding | None] = field(default_factory=dict)

    def lookup(self, key: str | None, root: Path) -> CachedCheck | None:
        """Return the result for `key` if none of the files that the compiler read has changed."""
        result = self.results.get(key) if key else None
        if result and all(file_digest(root / name) == stored_digest for name, stored_digest in result.files.items()):
            return result
        return None

    def store(self, key: str | None, result: CachedCheck) -> None:
        """Add a result as the newest; without a key, do nothing."""
        if key:
            self.results.pop(key, None)
            self.results[key] = result


def file_digest(path: Path) -> str:
    """Return a digest of a file's bytes; "" if it cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError:
        return ""


def load_cache(root: Path) -> ResultCache:
    """Read the cache of a project; it is empty if its file is damaged, missing or of another format."""
    try:
        document = read_checked(root / _FILE)
        if document["format"] != _FORMAT:
            return ResultCache()
        results = {
            key: CachedCheck(tuple(Finding(**finding) for finding in result["findings"]), result["files"])
            for key, result in document["results"].items()
        }
        syntax = {key: Finding(**error) if error else None for key, error in document["syntax"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ResultCache()
    return ResultCache(results, syntax)


def save_cache(root: Path, cache: ResultCache, scripts: Iterable[str]) -> None:
    """Write the newest results, and the syntax errors of these scripts. Write errors are ignored."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "results": {
            key: {"findings": [asdict(finding) for finding in result.findings], "files": dict(result.files)}
            for key, result in list(cache.results.items())[-_MAX_RESULTS:]
        },
        "syntax": {
            key: asdict(error) if (error := cache.syntax[key]) else None for key in scripts if key in cache.syntax
        },
    }
    with contextlib.suppress(OSError):
        write_checked(root / _FILE, document)


def _check_changed(
    subject: Subject,
    files: ProjectFiles,
    cache: ResultCache,
    unparsed: Sequence[Script],
    types: CachedCheck | None,
    steps: tuple[Parse, Callable[[], Tools], Bundle],
) -> tuple[Sequence[Finding], CachedCheck]:
    """Parse and bundle scripts while their types are checked, as far as `cache` has no result, and add the results.

    Return the errors of bundling and the result of the type check.
    """
    parse, tools, bundle = steps

    def parse_and_bundle() -> Sequence[Finding]:
        _parse(unparsed, parse, cache)
        return bundle()

    with ThreadPoolExecutor(1) as pool:
        bundling = pool.submit(parse_and_bundle)
        if types is None:
            types, key = _checked_types(subject, files, tools)
            cache.store(key, types)
        return bundling.result(), types


def _checked_types(subject: Subject, files: ProjectFiles, tools: Callable[[], Tools]) -> tuple[CachedCheck, str | None]:
    """Run the compiler; return its findings and their cache key, which is None if packages were missing."""
    typed = any(script.path.endswith(TYPESCRIPT_SUFFIXES) for script in subject.scripts)
    if not typed and not has_settings(subject.root):  # a tsconfig.json may enable checks of JavaScript
        return CachedCheck((), {}), _key(subject, files)
    try:
        str(subject.root).encode()
    except UnicodeEncodeError:
        raise CkfuncError(
            f"the TypeScript compiler cannot open {subject.root}: its name is not UTF-8", hint="rename the directory"
        ) from None
    installed = tools()
    files = list_files(subject.root)  # listed again: packages may have been installed
    reports = [_report(subject, files, installed)]
    if unchecked := _unchecked(subject, reports[0]):
        reports.append(_report(unchecked, files, installed))
    findings = {_at_user_file(finding, subject.root) for report in reports for finding in report.findings}
    read = {path for report in reports for path in report.files}
    names = sorted(name for path in read if (name := _cache_name(path, subject.root)))
    result = CachedCheck(
        tuple(sorted(each for each in findings if _is_own(each.path) and not _is_unused_handler(each))),
        {name: file_digest(subject.root / name) for name in names},
    )
    return result, _key(subject, files) if installed.complete else None


def _report(subject: Subject, files: ProjectFiles, tools: Tools) -> CompilerReport:
    write_settings(subject, files.declarations, (tools.declarations,))
    return run(tools.compiler, subject.root, ("-p", CONFIG))


def _key(subject: Subject, files: ProjectFiles) -> str | None:
    """Return a key over everything that the result depends on, except the contents of the files.

    None if there are too many files to list.
    """
    if files.digest is None:
        return None
    config = config_text(subject, files.declarations, ())
    inputs = (TYPESCRIPT, NODE_TYPES, config, subject.ambient.identity, subject.ambient.settings)
    return digest(json.dumps([*inputs, settings_digest(subject.root), files.digest]))


def _syntax_key(script: Script) -> str:
    suffix = Path(script.path).suffix
    node = os.environ.get("CKFUNC_NODE", "")
    return digest(json.dumps([programs_digest(), node, suffix, script.text]))


def _parse(scripts: Sequence[Script], parse: Parse, cache: ResultCache) -> None:
    keys = {script.path: _syntax_key(script) for script in scripts}
    problems = parse(scripts) if scripts else ()
    cache.syntax.update(dict.fromkeys(keys.values()))
    for problem in problems:
        finding = Finding(problem.name, problem.line, problem.column, "syntax", problem.message)
        cache.syntax[keys[problem.name]] = finding


def _unchecked(subject: Subject, report: CompilerReport) -> Subject | None:
    """Return the scripts that the compiler skipped because others have syntax errors."""
    broken = {finding.path for finding in report.findings}
    if not report.findings or not all(_is_syntax(finding) for finding in report.findings):
        return None
    handlers = tuple(handler for handler in subject.handlers if handler.path not in broken)
    script = subject.initialization_script
    if len(handlers) == len(subject.handlers) or not handlers:
        return None
    return replace(
        subject, handlers=handlers, initialization_script=script if script and script.path not in broken else None
    )


def _is_syntax(finding: Finding) -> bool:
    return len(finding.code) == len("TS1005") and finding.code.startswith("TS1")


def _is_unused_handler(finding: Finding) -> bool:
    """Return whether the compiler reports a handler's function as unused: it cannot know that the platform calls it."""
    return finding.code == "TS6133" and finding.message.startswith("'handleEvent' is declared")


def _at_user_file(finding: Finding, root: Path) -> Finding:
    """Move a finding about settings that the user cannot edit to the project's own tsconfig.json."""
    foreign = finding.path.startswith(".ckfunc/") or "node_modules" in Path(finding.path).parts
    if not finding.path or (foreign and finding.path.endswith(".json")):
        return at_option(finding, root)
    return finding


def _cache_name(file: Path, root: Path) -> str | None:
    """Return the name of a file in the cache; None for files of packages and tools: the key covers them."""
    if "node_modules" in file.parts:
        return None
    try:
        name = file.relative_to(root).as_posix()
    except ValueError:
        return file.as_posix()
    return None if name.startswith(".ckfunc/") else name


def _is_own(name: str) -> bool:
    return not name.startswith(".ckfunc/") and "node_modules" not in Path(name).parts


def _merged(types: Iterable[Finding], findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Merge the compiler's findings with the others, without duplicates.

    The compiler's finding wins, with two exceptions: for a missing module, only the other finding says what handlers
    can import, and for a merge conflict, the compiler reports each marker.
    """
    findings = tuple(findings)
    conflicts = {finding.path for finding in findings if finding.code == CONFLICT}
    types, findings = (
        [each for each in reported if each.path not in conflicts or each.code not in _MARKERS]
        for reported in (types, findings)
    )
    places = {(each.path, each.line, each.column) for each in findings if each.code == REQUIREMENT}
    types = [each for each in types if each.code not in _NO_MODULE or (each.path, each.line, each.column) not in places]
    unparsed = {each.path for each in types if _is_syntax(each)}
    lines = {(each.path, each.line) for each in types}

    def unreported() -> Iterator[Finding]:
        for finding in findings:
            if finding.path not in unparsed and (finding.path, finding.line) not in lines:
                lines.add((finding.path, finding.line))
                yield finding

    return tuple(sorted({*types, *unreported()}))
