"""Plans saved in files, and the check that they are still current.

A saved plan contains no secrets and no source code, only digests of both sides. To carry it out, the plan is computed
again and must be the same: a deploy never does anything that was not in the reviewed plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ckfunc import __version__
from ckfunc.base.clock import Clock, timestamp
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import digest
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import FUNCTIONS, Remote, Text, Values

FORMAT = 1
_Kind = TypeVar("_Kind")


class StalePlan(CkfuncError):
    """The application or the sources have changed since a plan was saved."""


@frozen
class SavedPlan:
    """A saved plan: digests of the application's values (`have`) and the wanted values (`want`), by kind and name."""

    path: Path
    target: str
    application: int | None
    identity: str
    only: tuple[str, ...]
    have: Mapping[str, Mapping[str, str]]
    want: Mapping[str, Mapping[str, str]]


def save(path: Path, plan: Plan, remote: Remote, clock: Clock, only: tuple[str, ...] = ()) -> None:
    """Write a plan to a file atomically. Raises OSError."""
    document = {
        "ckfunc_plan": FORMAT,
        "ckfunc": __version__,
        "created": timestamp(clock.now()),
        "target": plan.target.name,
        "application": plan.application_id,
        "identity": remote.identity or "",
        "only": list(only),
        "changes": [
            {"kind": change.kind, "name": change.name, "action": change.action.value} for change in plan.changes
        ],
        "have": _have(plan, remote),
        "want": _want(plan, remote),
    }
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=True) + "\n")


def load(path: Path) -> SavedPlan:
    """Read a saved plan. Raises UsageProblem."""
    hint = "`ckfunc diff --out FILE` writes plans"
    try:
        document = json.loads(read_file(path, pipe=True))
    except OSError as error:
        raise UsageProblem(f"the plan {path} cannot be read: {error.strerror}", hint=hint) from None
    except (ValueError, RecursionError):
        raise UsageProblem(f"{path} is not a plan: it is not valid JSON", hint=hint) from None
    try:
        if document["ckfunc_plan"] != FORMAT:
            raise UsageProblem(f"the plan {path} was saved by another version of ckfunc", hint="save it again: " + hint)
        application = document["application"]
        return SavedPlan(
            path,
            _text(document["target"]),
            None if application is None else _number(application),
            _text(document["identity"]),
            tuple(map(_text, _require_type(list, document["only"]))),
            _digests_of(document["have"]),
            _digests_of(document["want"]),
        )
    except (KeyError, TypeError):
        raise UsageProblem(f"{path} is not a plan of ckfunc", hint=hint) from None


def require_target(saved: SavedPlan, target: str) -> None:
    """Refuse a plan for another target, even with --allow-stale. Raises UsageProblem."""
    if saved.target != target:
        raise UsageProblem(
            f"the plan {saved.path} was saved for target {saved.target!r}, not for {target!r}",
            hint="leave out --target: the plan already specifies its target",
        )


def require_current(saved: SavedPlan, plan: Plan, remote: Remote) -> None:
    """Refuse a saved plan that differs from the current one. Raises StalePlan."""
    if (saved.application, saved.identity) != (plan.application_id, remote.identity or ""):
        raise StalePlan(
            f"the plan {saved.path} was saved for target {saved.target!r} of another application"
            f"{'' if saved.application is None else f' ({saved.application})'}",
            hint="use the credentials and addresses that it was saved with, or save it again with `ckfunc diff --out`",
        )
    for side, then, now in (
        ("the application has changed", saved.have, _have(plan, remote)),
        ("the sources have changed", saved.want, _want(plan, remote)),
    ):
        if changed := sorted(_differing(then, now)):
            shown = ", ".join(name[:60] for name in changed[:5])
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise StalePlan(
                f"the plan {saved.path} is stale: {side} since it was saved ({shown}{more})",
                hint=f"save it again with `ckfunc diff --out {saved.path}`, or pass --allow-stale to deploy anyway",
            )


def _require_type(kind: type[_Kind], value: object) -> _Kind:
    if type(value) is not kind:
        raise TypeError
    return value


_text, _number = partial(_require_type, str), partial(_require_type, int)


def _digests_of(value: object) -> dict[str, dict[str, str]]:
    return {
        kind: {name: _text(item) for name, item in _require_type(dict, values).items()}
        for kind, values in _require_type(dict, value).items()
    }


def _have(plan: Plan, remote: Remote) -> dict[str, dict[str, str]]:
    digests = {kind: _digests(values, remote) for kind, values in plan.have.items()}
    functions = digests.get(FUNCTIONS, {})
    # Two versions can have the same script: the number shows that someone deployed in between.
    return {
        **digests,
        FUNCTIONS: {name: f"v{plan.versions.get(name, 0)} {function}" for name, function in functions.items()},
    }


def _want(plan: Plan, remote: Remote) -> dict[str, dict[str, str]]:
    return {kind: _digests(values, remote) for kind, values in plan.want.items()}


def _digests(values: Values, remote: Remote) -> dict[str, str]:
    return {name: "" if value is None else _digest(value, remote) for name, value in values.items()}


def _digest(value: Text, remote: Remote) -> str:
    return remote.fingerprint(value) if isinstance(value, Secret) else digest(value)


def _differing(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {
        name
        for kind in {*then, *now}
        for name in {*then.get(kind, {}), *now.get(kind, {})}
        if then.get(kind, {}).get(name) != now.get(kind, {}).get(name)
    }
