"""Check syntax and types, with as little work as the changes allow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc import __version__
from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import locked
from ckfunc.base.text import digest
from ckfunc.check.files import ProjectFiles, listing
from ckfunc.check.findings import Finding
from ckfunc.check.memory import KnownCheck, Memory, file_digest, recall, remember
from ckfunc.check.settings import (
    CONFIG,
    TYPESCRIPT,
    at_its_option,
    config_text,
    has_settings,
    settings_digest,
    write_settings,
)
from ckfunc.check.subject import DIRECTORY, TYPESCRIPT_SUFFIXES, Bundle, Parse, Subject, Tools
from ckfunc.model.project import Script
from ckfunc.runtime.tools import NODE_TYPES

if TYPE_CHECKING:
    from ckfunc.check.diagnostics import CompilerReport


REQUIREMENT = "runtime"
"""The code of what a script needs to run, and lacks: a package, or the function handleEvent."""
_NO_MODULE = frozenset({"TS2307", "TS2792", "TS2882", "TS7016"})


@dataclass(frozen=True, slots=True)
class CodeVerdict:
    """What is wrong with scripts, sorted by place.

    `files` are those of the project whose types were judged: scripts and the modules that they import, below the root.
    `remembered` tells that nothing had changed.
    """

    findings: tuple[Finding, ...]
    files: tuple[str, ...] = ()
    remembered: bool = False


def judge(subject: Subject, *, parse: Parse, tools: Callable[[], Tools], bundle: Bundle = tuple) -> CodeVerdict:
    """Check the syntax and the types of scripts.

    `parse` and `tools` (which makes sure that they are there) are called only when something changed since the last
    time, `bundle` always. Writes nothing outside `.ckfunc/check` of the project. Raises what they raise, and
    CompilerBroke.
    """
    scripts = subject.scripts
    if not scripts:
        return CodeVerdict(())
    with locked(subject.root / DIRECTORY / "lock"):
        memory, around = recall(subject.root), listing(subject.root)
        syntax = {one.path: _syntax_key(one) for one in scripts}
        unknown = [one for one in scripts if syntax[one.path] not in memory.syntax]
        result = memory.fresh(_key(subject, around), subject.root)
        remembered = not unknown and result is not None
        if result is not None and not unknown:
            unbundled = bundle()
        else:
            unbundled, result = _found_out(subject, around, memory, unknown, result, (parse, tools, bundle))
            remember(subject.root, memory, syntax.values())
    parsed = [replace(found, path=one.path) for one in scripts if (found := memory.syntax[syntax[one.path]])]
    files = tuple(name for name in result.files if _is_own(name))
    return CodeVerdict(_together(result.findings, (*parsed, *unbundled)), files, remembered)


def _found_out(
    subject: Subject,
    around: ProjectFiles,
    memory: Memory,
    unknown: Sequence[Script],
    result: KnownCheck | None,
    how: tuple[Parse, Callable[[], Tools], Bundle],
) -> tuple[Sequence[Finding], KnownCheck]:
    """Parse and judge what is not known yet, both at the same time; what was found is in `memory` then."""
    from concurrent.futures import ThreadPoolExecutor

    parse, tools, bundle = how

    def parsed() -> Sequence[Finding]:
        _parse(unknown, parse, memory)
        return bundle()

    with ThreadPoolExecutor(1) as pool:
        parsing = pool.submit(parsed)
        if result is None:
            result, key = _judged(subject, around, tools)
            memory.keep(key, result)
        return parsing.result(), result


def _judged(subject: Subject, around: ProjectFiles, tools: Callable[[], Tools]) -> tuple[KnownCheck, str | None]:
    """Return what the compiler finds, and the key to remember it by; None when it is not to be relied on."""
    typed = any(one.path.endswith(TYPESCRIPT_SUFFIXES) for one in subject.scripts)
    if not typed and not has_settings(subject.root):  # which may say that JavaScript is checked too
        return KnownCheck((), {}), _key(subject, around)
    try:
        str(subject.root).encode()
    except UnicodeEncodeError:
        raise CkfuncError(
            f"the TypeScript compiler cannot open {subject.root}: the name is no UTF-8", hint="rename the directory"
        ) from None
    known = tools()
    around = listing(subject.root)  # again: packages may have come
    reports = [_report(subject, around, known)]
    if others := _unheard(subject, reports[0]):
        reports.append(_report(others, around, known))
    found = {_placed(one, subject.root) for report in reports for one in report.findings}
    files = {file for report in reports for file in report.files}
    names = sorted(name for file in files if (name := _name(file, subject.root)))
    result = KnownCheck(
        tuple(sorted(one for one in found if _is_own(one.path) and not _is_called(one))),
        {name: file_digest(subject.root / name) for name in names},
    )
    return result, _key(subject, around) if known.whole else None


def _report(subject: Subject, around: ProjectFiles, tools: Tools) -> CompilerReport:
    from ckfunc.check.typescript import run  # what starts processes is not needed when nothing has changed

    write_settings(subject, around.declarations, (tools.declarations,))
    return run(tools.compiler, subject.root, ("-p", CONFIG))


def _key(subject: Subject, around: ProjectFiles) -> str | None:
    """Return what names everything that the verdict depends on, but for the contents of the files that are read."""
    if around.digest is None:
        return None
    config = config_text(subject, around.declarations, ())
    known = (TYPESCRIPT, NODE_TYPES, config, subject.surroundings.identity, subject.surroundings.settings)
    return digest(json.dumps([*known, settings_digest(subject.root), around.digest]))


def _syntax_key(script: Script) -> str:
    suffix = Path(script.path).suffix
    node = os.environ.get("CKFUNC_NODE", "")
    return digest(json.dumps([__version__, node, suffix, script.text]))


def _parse(unknown: Sequence[Script], parse: Parse, memory: Memory) -> None:
    keys = {one.path: _syntax_key(one) for one in unknown}
    problems = parse(unknown) if unknown else ()
    memory.syntax.update(dict.fromkeys(keys.values()))
    for one in problems:
        memory.syntax[keys[one.name]] = Finding(one.name, one.line, one.column, "syntax", one.message)


def _unheard(subject: Subject, report: CompilerReport) -> Subject | None:
    """Return the scripts whose types were not judged, since some do not parse: then the compiler says nothing else."""
    broken = {one.path for one in report.findings}
    if not report.findings or not all(_is_syntax(one) for one in report.findings):
        return None
    handlers = tuple(one for one in subject.handlers if one.path not in broken)
    script = subject.initialization_script
    if len(handlers) == len(subject.handlers) or not handlers:
        return None
    return replace(
        subject, handlers=handlers, initialization_script=script if script and script.path not in broken else None
    )


def _is_syntax(finding: Finding) -> bool:
    return len(finding.code) == len("TS1005") and finding.code.startswith("TS1")


def _is_called(finding: Finding) -> bool:
    """Tell whether the compiler takes a handler's function for unused: it cannot know who calls it."""
    return finding.code == "TS6133" and finding.message.startswith("'handleEvent' is declared")


def _placed(finding: Finding, root: Path) -> Finding:
    """Return a finding about settings that are not the user's own at the place where the user can do something."""
    of_ours = finding.path.startswith(".ckfunc/") or "node_modules" in Path(finding.path).parts
    if not finding.path or (of_ours and finding.path.endswith(".json")):
        return at_its_option(finding, root)
    return finding


def _name(file: Path, root: Path) -> str | None:
    """Return how a file is remembered; None for what is known already: of the compiler, packages and ckfunc."""
    if "node_modules" in file.parts:
        return None
    try:
        name = file.relative_to(root).as_posix()
    except ValueError:
        return file.as_posix()
    return None if name.startswith(".ckfunc/") else name


def _is_own(name: str) -> bool:
    return not name.startswith(".ckfunc/") and "node_modules" not in Path(name).parts


def _together(types: Iterable[Finding], syntax: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return both kinds; what several complain of is reported once, by the compiler if it is among them.

    Only of a module that is not there the compiler knows less: not what handlers can import, and what to do.
    """
    syntax = tuple(syntax)
    places = {(one.path, one.line, one.column) for one in syntax if one.code == REQUIREMENT}
    types = [one for one in types if one.code not in _NO_MODULE or (one.path, one.line, one.column) not in places]
    unparsed = {one.path for one in types if _is_syntax(one)}
    lines = {(one.path, one.line) for one in types}

    def unsaid() -> Iterator[Finding]:
        for one in syntax:
            if one.path not in unparsed and (one.path, one.line) not in lines:
                lines.add((one.path, one.line))
                yield one

    return tuple(sorted({*types, *unsaid()}))
