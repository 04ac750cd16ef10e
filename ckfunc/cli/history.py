"""How versions are listed, printed, compared and brought back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.diffs import line_count, styled_diff, unified
from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.text import Line, Segment, digest, printable, table
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed
from ckfunc.deploy.apply.journal import deployed_at
from ckfunc.deploy.apply.report import WRONG
from ckfunc.deploy.blame import blame, commits_of
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import (
    Reference,
    Rollback,
    function_of,
    prepare_rollback,
    reference,
    rolled_back,
    script_digest,
    version_of,
    versions_of,
)
from ckfunc.deploy.plan.plan import make
from ckfunc.deploy.plan.snapshot import guard
from ckfunc.deploy.remote import Snapshot
from ckfunc.deploy.resources import FUNCTIONS, newlines
from ckfunc.deploy.run import Means, carry_out
from ckfunc.logs.finding import first_seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ckfunc.deploy.apply.report import Item
    from ckfunc.deploy.blame import Commit
    from ckfunc.model.function import Function, FunctionVersion
    from ckfunc.model.project import Script

USUAL_COUNT = 20
"""How many versions `ckfunc versions` lists unless told otherwise."""

MOST_BUNDLED = 200
"""Of how many commits bundles are made, to find the one that a version came from."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison; `text` has plain newlines."""

    name: str
    text: str = field(repr=False)


def show_versions(app: App, trigger_type: str, *, limit: int, blamed: bool) -> None:
    """List the versions of a function, the newest first, and with `blamed` the commit that each came from."""
    client, cache = app.client(), VersionCache(app.root())
    function = function_of(client, trigger_type)
    found = list(islice(versions_of(client, function, cache), limit))
    here = _handler(app, trigger_type) if blamed else _whole_handler(app, trigger_type)
    local = newlines(here.text) if here else None
    commits = _blamed(app, here, found) if blamed else {}
    noted = deployed_at(app.root(), app.target().name, trigger_type)
    keys = {one.version_number: (one.version_number, script_digest(one)) for one in found}
    times = {number: noted[key] for number, key in keys.items() if key in noted}
    if app.output.json:
        app.output.document(
            [
                _version_json(
                    function, one, local, commits.get(one.version_number), deployed=times.get(one.version_number)
                )
                for one in found
            ]
        )
        return
    if not found:
        app.output.talk((f"{printable(trigger_type)} was never deployed", "muted"))
        return
    seen = {} if times.keys() == keys.keys() else first_seen(client, function)
    app.output.lines(
        table(
            ("VERSION", "DEPLOYED", "SCRIPT", "LINES", "STATE", "COMMIT"),
            [
                (
                    *_version_cells(function, one, local, _when(times, seen, one.version_number)),
                    _commit_cell(commits.get(one.version_number)) if blamed else Segment(""),
                )
                for one in found
            ],
        )
    )
    if len(found) == limit and found[-1].version_number > 1:
        app.output.talk((f"older versions are not shown: use -n {limit * 5}", "muted"))


def show_script(app: App, text: str) -> None:
    """Print the script of a version, exactly as it is deployed but for its line ends and control characters."""
    wanted = reference(text)
    client, cache = app.client(), VersionCache(app.root())
    function = function_of(client, wanted.type)
    version = version_of(client, function, wanted.number, cache)
    if app.output.json:
        app.output.document({**_version_json(function, version), "script": version.handler_script})
        return
    app.output.text(version.handler_script)


def compare_versions(app: App, versions: Sequence[str], *, exit_code: bool) -> int:
    """Print how two versions differ, or how the working copy differs from one, and return the exit code."""
    if len(versions) > 2:
        raise UsageProblem("at most two versions can be compared", hint="ckfunc diff TYPE@1 TYPE@2")
    first, second = reference(versions[0]), reference(versions[1]) if len(versions) > 1 else None
    left = _deployed(app, first)
    right = _deployed(app, second) if second is not None else _working(app, first)
    lines = list(unified(left.text, right.text, left.name, right.name))
    if app.output.json:
        text = "".join(f"{printable(line)}\n" for line in lines)
        app.output.document({"before": left.name, "after": right.name, "equal": not lines, "diff": text})
    elif lines:
        app.output.lines(_diff_lines(lines))
    else:
        app.output.talk((f"no differences between {left.name} and {right.name}", "muted"))
    return EXIT_DIFFERENCES if exit_code and lines else EXIT_OK


def roll_function_back(app: App, trigger_type: str, *, to: int | None, yes: bool) -> int:
    """Deploy an older script again, after showing what that changes; return the exit code."""
    if "@" in trigger_type:
        raise UsageProblem("rollback takes the type alone", hint="ckfunc rollback TYPE --to NUMBER")
    client = app.client()
    cache = VersionCache(app.root())
    _require_application(app)
    function = function_of(client, trigger_type)
    wanted = prepare_rollback(client, function, to, cache)
    old, new = wanted.target.version_number, wanted.current.version_number + 1
    outcome: dict[str, Any] = {
        "target": app.target().name,
        "type": printable(trigger_type),
        "from": wanted.current.version_number,
        "to": old,
    }
    if wanted.changes_nothing:
        app.output.talk(f"v{wanted.current.version_number} has the script of v{old} already: nothing to do")
        if app.output.json:
            app.output.document({**outcome, "result": "unchanged"})
        return EXIT_OK
    before, after = (_version_side(function, one) for one in (wanted.current, wanted.target))
    shown = list(_diff_lines(unified(before.text, after.text, before.name, after.name)))
    if yes or not app.output.interactive:
        app.output.talks(shown)
    if not yes and not confirmed(
        app,
        f"Deploy v{old} again, as v{new} of {printable(trigger_type)}?",
        shown=shown,
        cancelled=f"Nothing was deployed to {app.target().name}.",
    ):
        if app.output.json:
            app.output.document({**outcome, "result": "declined"})
        return EXIT_FAILED
    item = _rolled_back(app, wanted)
    if item.result in WRONG:
        if app.output.json:
            app.output.document({**outcome, "result": item.result.value, "note": item.note})
        raise CkfuncError(item.note or "the version was not created", hint=item.hint)
    if app.output.json:
        app.output.document({**outcome, "result": "updated", "version": item.new_version})
    elif not app.output.quiet:
        where = f"{printable(trigger_type)}  v{wanted.current.version_number} → v{item.new_version}"
        app.output.line(("  ~ ", "update"), where, (f"  the script of v{old}", "muted"))
    _say_working_copy(app, trigger_type, after.text)
    return EXIT_OK


def _rolled_back(app: App, wanted: Rollback) -> Item:
    """Deploy an old script as a deploy is done, and return what became of it."""
    root, target, client = app.root(), app.target(), app.client()
    cache = VersionCache(root)
    former = rolled_back(wanted, root, target)
    function = replace(wanted.function, current_version_number=wanted.current.version_number)
    seen = Snapshot(client.runtime(), (function,), {function.type: wanted.current})
    report = carry_out(make(former, seen), client, Means(root, cache, clock=app.clock, command="rollback"))
    return next(one for one in report.items if one.kind == FUNCTIONS and one.name == function.type)


def _require_application(app: App) -> None:
    client = app.client()
    guard(app.target(), Snapshot(client.runtime(), ()), client, VersionCache(app.root()))


def _say_working_copy(app: App, trigger_type: str, deployed: str) -> None:
    here = _whole_handler(app, trigger_type)
    if here is not None and newlines(here.text) != deployed:
        app.output.talk(
            ("note: ", "warning"), f"{here.path} still holds another script, which the next `ckfunc deploy` deploys"
        )


def _handler(app: App, trigger_type: str) -> Script | None:
    return next((one.handler for one in app.scripts().functions or () if one.type == trigger_type), None)


def _whole_handler(app: App, trigger_type: str) -> Script | None:
    """Return the working copy, or None when it cannot be bundled: what is deployed is there all the same."""
    try:
        return _handler(app, trigger_type)
    except CkfuncError as problem:
        app.output.warn(f"the working copy is not compared: {problem.message}")
        return None


def _deployed(app: App, wanted: Reference) -> _Side:
    client, cache = app.client(), VersionCache(app.root())
    function = function_of(client, wanted.type)
    return _version_side(function, version_of(client, function, wanted.number, cache))


def _working(app: App, wanted: Reference) -> _Side:
    here = _handler(app, wanted.type)
    if here is None:
        raise UsageProblem(
            f"functions.yaml has no {wanted.type}, so there is no working copy to compare with",
            hint=f"name a second version: ckfunc diff {wanted.type}@1 {wanted.type}@2",
        )
    return _Side(f"{printable(here.path)}{' (bundled)' if here.modules else ''}", newlines(here.text))


def _version_side(function: Function, version: FunctionVersion) -> _Side:
    return _Side(f"{printable(function.type)}@{version.version_number}", newlines(version.handler_script))


def _diff_lines(lines: Iterable[str]) -> Iterator[Line]:
    for segment in styled_diff(lines):
        yield [segment]


def _blamed(app: App, here: Script | None, found: list[FunctionVersion]) -> dict[int, Commit]:
    if here is None:
        app.output.warn(
            "functions.yaml does not name a handler for it, so there is no file whose history could be read"
        )
        return {}
    commits = commits_of(app.root(), (here.path,))
    if here.modules:
        commits = tuple(sorted((*commits, *_bundled_commits(app, here)), key=lambda one: one.time))
    blamed = blame({one.version_number: script_digest(one) for one in found}, commits)
    known = {number: one for number, one in blamed.items() if not one.cut}
    if len(known) < len(found) and any(one.cut for one in commits):
        app.output.warn(
            "this clone is shallow: versions from before its first commit have no commit here "
            "(`git fetch --unshallow` fetches the rest of the history)"
        )
    return known


def _bundled_commits(app: App, here: Script) -> list[Commit]:
    """Return the commits that changed any file of a bundle, each with the digest of the bundle as it left that."""
    from ckfunc.bundle.git_files import GitFiles

    changes = {one.id: one for one in commits_of(app.root(), here.modules)}
    newest = sorted(changes.values(), key=lambda one: one.time)[-MOST_BUNDLED:]
    if len(newest) < len(changes):
        app.output.warn(f"only the newest {MOST_BUNDLED} of {len(changes)} commits to its files were looked at")
    past, bundler = GitFiles(app.root()), app.bundler()
    found = []
    with app.output.progress("bundling what each commit had"):
        for one in newest:
            read = past.at(one.id)
            source = read(here.path)
            text = bundler.script(here.path, source, read) if isinstance(source, str) else None
            if text is not None:
                found.append(replace(one, digest=digest(newlines(text))))
    return found


def _when(deployed: Mapping[int, datetime], seen: Mapping[int, datetime], number: int) -> str:
    """Return when a version was deployed; when nobody noted it, by when it was there; "" when neither is known."""
    moment = deployed.get(number) or seen.get(number)
    if moment is None:
        return ""
    return f"{'' if number in deployed else 'by '}{moment.astimezone():%Y-%m-%d %H:%M}"


def _version_cells(function: Function, version: FunctionVersion, local: str | None, when: str) -> list[Segment]:
    text = newlines(version.handler_script)
    current = version.version_number == function.current_version_number
    marks = [
        *(["deployed"] if current else []),
        *(["disabled"] if current and not function.enabled else []),
        *(["as here"] if local == text else []),
    ]
    return [
        Segment(f"v{version.version_number}", "title" if current else "plain"),
        Segment(when),
        Segment(script_digest(version)[:12], "muted"),
        Segment(f"{line_count(text):>5}"),
        Segment(", ".join(marks), "success"),
    ]


def _commit_cell(commit: Commit | None) -> Segment:
    if commit is None:
        return Segment("not found in git", "muted")
    return Segment(f"{commit.id[:10]}  {commit.time:%Y-%m-%d}  {_short(commit.author)}: {_short(commit.subject)}")


def _short(text: str) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _version_json(
    function: Function,
    version: FunctionVersion,
    local: str | None = None,
    commit: Commit | None = None,
    deployed: datetime | None = None,
) -> dict[str, Any]:
    text = newlines(version.handler_script)
    found: dict[str, Any] = {
        "type": function.type,
        "version": version.version_number,
        "id": version.id,
        "deployed": version.version_number == function.current_version_number,
        "digest": script_digest(version),
        "lines": line_count(text),
    }
    if deployed is not None:
        found["deployed_time"] = timestamp(deployed)
    if local is not None:
        found["as_here"] = local == text
    if commit is not None:
        found["commit"] = {
            "id": commit.id,
            "author": commit.author,
            "time": commit.time.isoformat(),
            "subject": commit.subject,
        }
    return found
