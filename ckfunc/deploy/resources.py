"""Table of the resources that are compared and written, by kind.

To deploy a further kind, add a row: plans and deploys work from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ckfunc.base.secrets import Secret
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.model.application import Runtime
from ckfunc.model.project import Project, Script

Text: TypeAlias = str | Secret

Wanted: TypeAlias = Mapping[str, Text]
"""Values by name: secrets for variables, else texts."""

Values: TypeAlias = Mapping[str, Text | None]
"""Values by name; None stands for a function that exists but was never deployed."""

Literals: TypeAlias = Mapping[str, tuple[str, ...]]
"""Values of variables that functions.yaml states literally, by name, the newest first."""

DEPENDENCIES = "dependencies"
ENVIRONMENT = "environment"
INIT_SCRIPT = "initialization_script"
FUNCTIONS = "functions"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of thing. `title` names all of it in a sentence, `noun` one of them.

    `want` gives None where the manifest leaves the kind unmanaged. `write` replaces the whole kind with the wanted
    values; it is None for functions, which are written one by one, in numbered versions. `source` values are
    program text. With `keeps_others`, what the manifest lacks is left alone and reported as unmanaged, as the API
    cannot remove it.
    """

    kind: str
    title: str
    noun: str
    want: Callable[[Project], Wanted | None]
    have: Callable[[Snapshot], Values]
    write: Callable[[Remote, Wanted], Runtime] | None = None
    source: bool = False
    keeps_others: bool = False


def newlines(text: str) -> str:
    """Return `text` with every line ending as a plain newline.

    Scripts are compared this way: a copy that went through the dashboard's editor, or a checkout on Windows, is the
    same script.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sources(project: Project) -> dict[tuple[str, str], Script]:
    """Return the source files of a project by the kind and name of what they belong to."""
    found = {(FUNCTIONS, one.type): one.handler for one in project.functions or ()}
    if project.runtime.initialization_script is not None:
        found[INIT_SCRIPT, INIT_SCRIPT] = project.runtime.initialization_script
    return found


def script_of(values: Values, name: str) -> str:
    """Return a script among values, "" when there is none."""
    return _texts(values).get(name, "")


def _texts(values: Values) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _secrets(values: Values) -> dict[str, Secret]:
    secrets = {name: value for name, value in values.items() if isinstance(value, Secret)}
    if len(secrets) != len(values):
        raise TypeError("the value of a variable must be a Secret")
    return secrets


def _wanted_script(project: Project) -> Wanted | None:
    script = project.runtime.initialization_script
    # An empty init script is the same as none: whether the platform keeps "" or nothing is not documented.
    return None if script is None else {INIT_SCRIPT: newlines(script.text)} if script.text else {}


def _script(snapshot: Snapshot) -> Values:
    script = snapshot.runtime.initialization_script
    return {INIT_SCRIPT: newlines(script)} if script else {}


def _wanted_functions(project: Project) -> Wanted | None:
    functions = project.functions
    return None if functions is None else {one.type: newlines(one.handler.text) for one in functions}


def _functions(snapshot: Snapshot) -> Values:
    return {
        one.type: newlines(snapshot.versions[one.type].handler_script) if one.type in snapshot.versions else None
        for one in snapshot.functions
    }


# In the order of writing: a version may need the packages and variables, and what the init script exports.
RESOURCES: tuple[Resource, ...] = (
    Resource(
        DEPENDENCIES,
        "dependencies",
        "dependency",
        want=lambda project: project.runtime.dependencies,
        have=lambda snapshot: snapshot.runtime.own_dependencies(),
        write=lambda remote, values: remote.update_dependencies(_texts(values)),
    ),
    Resource(
        ENVIRONMENT,
        "environment",
        "variable",
        want=lambda project: project.runtime.environment,
        have=lambda snapshot: snapshot.runtime.own_environment(),
        write=lambda remote, values: remote.update_environment(
            {k: v for k, v in values.items() if isinstance(v, Secret)}
        ),
    ),
    Resource(
        INIT_SCRIPT,
        "init script",
        "init script",
        want=_wanted_script,
        have=_script,
        write=lambda remote, values: remote.update_initialization_script(script_of(values, INIT_SCRIPT)),
        source=True,
    ),
    Resource(
        FUNCTIONS,
        "functions",
        "function",
        want=_wanted_functions,
        have=_functions,
        source=True,
        keeps_others=True,
    ),
)

BY_KIND = {resource.kind: resource for resource in RESOURCES}
WRITERS = {resource.kind: resource.write for resource in RESOURCES if resource.write is not None}
