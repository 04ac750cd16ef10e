"""The deployed application: its API, a snapshot, and a table of its resources.

The API is a protocol, so that plans do not import HTTP code, even indirectly. To deploy another kind of resource, add a
row to the table: plans and deploys work from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import newlines
from ckfunc.model.application import ApplicationSettings

if TYPE_CHECKING:
    # Only for annotations: building these classes is most of what the --help of a deploying command costs.
    from ckfunc.model.application import (
        Application,
        ApplicationSettings,
        Function,
        FunctionVersion,
        NewFunction,
        Runtime,
    )
    from ckfunc.model.project import Project, Script

Text: TypeAlias = str | Secret
DesiredValues: TypeAlias = Mapping[str, Text]
"""Values by name: secrets for variables, texts for everything else."""
Values: TypeAlias = Mapping[str, Text | None]
"""Values by name. None means a function that exists but was never deployed."""
Literals: TypeAlias = Mapping[str, tuple[str, ...]]
"""Literal values of variables in functions.yaml, by name, newest first."""
DEPENDENCIES = "dependencies"
ENVIRONMENT = "environment"
INIT_SCRIPT = "initialization_script"
FUNCTIONS = "functions"
SETTINGS = "settings"
RUNTIME = "runtime"
"""The section of dependencies, environment and init script."""
Part: TypeAlias = "Runtime | ApplicationSettings"
"""A part of an application that a write replaces and returns."""


class Remote(Protocol):
    """An application, accessed through the Platform API. Thread-safe; every method may raise ApiFailure."""

    @property
    def identity(self) -> str | None:
        """Return a name of the application's store, for caches; None until the runtime was read."""

    def fingerprint(self, text: Secret, /) -> str:
        """Return a fingerprint of a secret, equal for equal secrets, that is safe to store in a file."""

    def application(self) -> Application:
        """Read the application that the credentials belong to."""

    def settings(self) -> ApplicationSettings:
        """Read the application's settings."""

    def update_settings(self, settings: ApplicationSettings, /) -> ApplicationSettings:
        """Replace the application's settings."""

    def runtime(self) -> Runtime:
        """Read the runtime."""

    def functions(self) -> tuple[Function, ...]:
        """Read every function."""

    def current_version(self, function_id: int, /) -> FunctionVersion:
        """Read the deployed version."""

    def versions(self, function_id: int, /) -> Iterator[FunctionVersion]:
        """Read the versions of a function, newest first."""

    def update_dependencies(self, dependencies: Mapping[str, str], /) -> Runtime:
        """Replace all packages except those of the platform."""

    def update_environment(self, environment: Mapping[str, Secret], /) -> Runtime:
        """Replace all variables except those of the platform."""

    def update_initialization_script(self, script: str, /) -> Runtime:
        """Replace the init script."""

    def create_function(self, function: NewFunction, /) -> Function:
        """Create a function without a version."""

    def create_version(self, function_id: int, script: str, /) -> FunctionVersion:
        """Create a version, which deploys it."""


@frozen
class Snapshot:
    """The state of an application when it was read.

    `functions` is sorted by type. `versions` maps trigger types to deployed versions, for the functions that were
    requested and have one. `settings` are None if they were not requested.
    """

    runtime: Runtime
    functions: tuple[Function, ...]
    versions: Mapping[str, FunctionVersion] = field(default_factory=dict)
    settings: ApplicationSettings | None = None


@frozen
class Resource:
    """A kind of resource. `title` names the whole kind in a sentence, `noun` a single value.

    `section` is the manifest's section, which is also what `--only` selects. `want` returns None if the manifest does
    not manage the kind. `write` replaces all values of the kind; it is None for functions, which are written one at a
    time, as numbered versions. `source` says that values are source code. With `keeps_others`, values that are not in
    the manifest are left alone and reported as unmanaged, because the API cannot remove them. With `last`, values are
    written after all functions.
    """

    kind: str
    title: str
    noun: str
    section: str
    want: Callable[[Project], DesiredValues | None]
    have: Callable[[Snapshot], Values]
    write: Callable[[Remote, DesiredValues], Part] | None = None
    source: bool = False
    keeps_others: bool = False
    last: bool = False


def sources(project: Project) -> dict[tuple[str, str], Script]:
    """Return the source files of a project by kind and name of their resource."""
    scripts = {(FUNCTIONS, function.type): function.handler for function in project.functions or ()}
    if project.runtime.initialization_script is not None:
        scripts[INIT_SCRIPT, INIT_SCRIPT] = project.runtime.initialization_script
    return scripts


def script_of(values: Values, name: str) -> str:
    """Return the script called `name`, or "" if there is none."""
    return _texts(values).get(name, "")


def _texts(values: Values) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


def secrets_of(values: Values) -> dict[str, Secret]:
    """Return those values that are secrets: the values of variables."""
    return {name: value for name, value in values.items() if isinstance(value, Secret)}


def _desired_script(project: Project) -> DesiredValues | None:
    script = project.runtime.initialization_script
    # An empty init script equals none: the API documentation does not say whether the platform stores "" or nothing.
    return None if script is None else {INIT_SCRIPT: newlines(script.text)} if script.text else {}


def _script(snapshot: Snapshot) -> Values:
    script = snapshot.runtime.initialization_script
    return {INIT_SCRIPT: newlines(script)} if script else {}


def _desired_functions(project: Project) -> DesiredValues | None:
    functions = project.functions
    return None if functions is None else {function.type: newlines(function.handler.text) for function in functions}


def _functions(snapshot: Snapshot) -> Values:
    return {
        function.type: newlines(snapshot.versions[function.type].handler_script)
        if function.type in snapshot.versions
        else None
        for function in snapshot.functions
    }


def _settings(snapshot: Snapshot) -> Values:
    return {} if snapshot.settings is None else _switches(asdict(snapshot.settings))


def _switches(settings: Mapping[str, bool]) -> dict[str, str]:
    """Return settings as functions.yaml has them: true or false."""
    return {name: "true" if enabled else "false" for name, enabled in settings.items()}


def flags(values: Values) -> dict[str, bool]:
    """Return the values of settings as booleans."""
    return {name: value == "true" for name, value in values.items()}


# In the order of writing: a version may need packages, variables, and exports of the init script. The settings change
# only when all functions are deployed: users without guest access may need a function that lets them in.
RESOURCES: tuple[Resource, ...] = (
    Resource(
        DEPENDENCIES,
        "dependencies",
        "dependency",
        RUNTIME,
        want=lambda project: project.runtime.exact_dependencies,
        have=lambda snapshot: snapshot.runtime.own_dependencies(),
        write=lambda remote, values: remote.update_dependencies(_texts(values)),
    ),
    Resource(
        ENVIRONMENT,
        "environment",
        "variable",
        RUNTIME,
        want=lambda project: project.runtime.environment,
        have=lambda snapshot: snapshot.runtime.own_environment(),
        write=lambda remote, values: remote.update_environment(secrets_of(values)),
    ),
    Resource(
        INIT_SCRIPT,
        "init script",
        "init script",
        RUNTIME,
        want=_desired_script,
        have=_script,
        write=lambda remote, values: remote.update_initialization_script(script_of(values, INIT_SCRIPT)),
        source=True,
    ),
    Resource(
        FUNCTIONS,
        "functions",
        "function",
        FUNCTIONS,
        want=_desired_functions,
        have=_functions,
        source=True,
        keeps_others=True,
    ),
    Resource(
        SETTINGS,
        "settings",
        "setting",
        SETTINGS,
        want=lambda project: None if project.settings is None else _switches(project.settings),
        have=_settings,
        write=lambda remote, values: remote.update_settings(ApplicationSettings(**flags(values))),
        keeps_others=True,
        last=True,
    ),
)
BY_KIND = {resource.kind: resource for resource in RESOURCES}
WRITERS = {resource.kind: resource.write for resource in RESOURCES if resource.write is not None}
