"""Compiled scripts, their environment, and the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Self

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.model.application import ConsoleLine, Status


@frozen
class SyntaxProblem:
    """A reason why a source cannot run. `line` and `column` count from 1; `kind` is the name of the error type."""

    name: str
    line: int
    column: int
    message: str
    kind: str = "SyntaxError"


@frozen
class MissingExport:
    """A name that a script imports from a module that does not export it; `instead` is a similar export.

    `commonjs` is whether the module is a CommonJS module of a package.
    """

    name: str
    instead: str | None = None
    commonjs: bool = False


@frozen
class Import:
    """A module that a script imports by a literal name; `line` and `column` of the quote count from 1.

    `how` is "import" or "require"; `names` are the exports that a statement imports. With `guarded`, the script handles
    the error if the module is not found. Modules of Node are only listed with a `missing` export or a `problem`, the
    reason why the import fails with its attributes. `type` is "json" for the attribute `type: "json"`, "" without any
    attribute, the name of an attribute that Node does not support, or None if the attributes are unknown.
    """

    name: str
    line: int
    column: int
    how: str = "import"
    guarded: bool = False
    missing: MissingExport | None = None
    type: str | None = None
    problem: str | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return an import from its fields as JSON."""
        missing = fields["missing"]
        names = tuple(fields.get("names", ()))
        return cls(**{**fields, "missing": MissingExport(**missing) if missing else None, "names": names})


@frozen
class Resolution:
    """Whether an installed package has an imported module; `instead` is a similar name that it has.

    `problem` is a reason why the module cannot be imported with the import's attributes, `missing` an export that it
    does not have.
    """

    there: bool
    instead: str | None = None
    problem: str | None = None
    missing: MissingExport | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return a resolution from its fields as JSON."""
        missing = fields["missing"]
        return cls(**{**fields, "missing": MissingExport(**missing) if missing else None})


@frozen
class Compiled:
    """JavaScript compiled from TypeScript. `module_kind` is "cjs" or "mjs"; `source_map` is JSON text.

    `imports` are the modules that it needs, in the order of the script. `no_handler` is set if the script has no
    function handleEvent that can be called, `failure` if it fails for another reason, and
    `warning` if a function in it does.
    """

    name: str
    javascript: str
    source_map: str
    module_kind: str
    imports: tuple[Import, ...] = ()
    no_handler: SyntaxProblem | None = None
    failure: SyntaxProblem | None = None
    warning: SyntaxProblem | None = None


@frozen
class ApiAccess:
    """Addresses and credentials for a handler's own API calls. Addresses have no trailing slash."""

    base_url: str
    token_url: str
    client_id: str
    client_secret: Secret


@frozen
class Determinism:
    """The clock of a deterministic run, in ms since 1970, and the seed of its random numbers.

    The clock advances only with the run's own timers. `seed` is from 0 to 2**53 - 1.
    """

    now_ms: int
    seed: int


@frozen
class Environment:
    """Everything that determines a run, except the handler; equal environments can share installed packages.

    `dependencies` maps npm names to version ranges, including the platform's default packages.
    `variables` are all of process.env, except variables that Node itself needs.
    With `determinism`, runs are repeatable; it is the default for runs, and applies to code outside of runs. The result
    of such a run waits for API requests that the run did not await, as with `settle`. Without `network`, only the
    platform can be reached. A `renewable` process can discard the state that runs have left in it.
    """

    dependencies: Mapping[str, str]
    variables: Mapping[str, Secret]
    api: ApiAccess
    initialization_script: Compiled | None = None
    determinism: Determinism | None = None
    network: bool = True
    settle: bool = False
    renewable: bool = False


@frozen
class HandlerVersion:
    """A compiled version of a function. `key` identifies the function (and its process), `number` the version."""

    key: str
    number: int
    script: Compiled


@frozen
class StatementList:
    """The offsets of consecutive statements in a compiled script, in UTF-16 units of its JavaScript.

    Each runs at most as often as the one before it. `around` is the offset of the statement around them in the same
    function, -1 if there is none.
    """

    around: int
    starts: tuple[int, ...]


@frozen
class ExecutedRanges:
    """How often parts of a compiled script were executed, as (start, end, count) in UTF-16 units of its JavaScript.

    A range inside of another one overrides its count. Everything outside of all ranges was not executed.
    """

    name: str
    ranges: tuple[tuple[int, int, int], ...]


@frozen
class Limits:
    """Resource limits of a run."""

    time_s: float = 10.0
    memory_bytes: int = 256 * 1024 * 1024
    result_bytes: int = 6 * 1024 * 1024
    console_bytes: int = 256 * 1024


@frozen
class HandlerError:
    """The reason why a run failed: `message` is a sentence, `stack` refers to the user's sources ("" if unknown)."""

    name: str
    message: str
    stack: str = ""


@frozen
class Outcome:
    """The result of a run. Exactly one of `payload_json` (JSON text, "null" for undefined) and `error` is set."""

    payload_json: str | None
    error: HandlerError | None
    console: tuple[ConsoleLine, ...] = field(default=())
    duration_ms: float = 0.0

    @property
    def status(self) -> Status:
        """The status that the platform shows."""
        return Status.SUCCEEDED if self.error is None else Status.FAILED
