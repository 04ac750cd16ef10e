"""Format of functions.yaml, as a table for validator and editor schema."""

from __future__ import annotations

from typing import Any

from ckfunc.base.text import with_hint
from ckfunc.manifest.kinds import Entries, Field, Flag, Items, Number, Rule, Section, Text, Whole, schema_of, violated
from ckfunc.manifest.sources import MAX_FILE_BYTES
from ckfunc.manifest.variables import NAME, TEMPLATE
from ckfunc.model.application import PLATFORM_PREFIX, PLATFORM_RANGES
from ckfunc.model.project import GATE, MAX_FAILURES, MOST_MIN_RUNS, WATCH_FOR
from ckfunc.model.triggers import TRIGGERS

MANIFEST_NAME = "functions.yaml"

PLATFORM_PACKAGES = tuple(PLATFORM_RANGES)
"""Packages that the platform installs itself (`default_dependency: true`)."""

SCRIPT_SUFFIXES = ("ts", "js", "mts", "cts", "mjs", "cjs")

_NOT_BLANK = Rule(r"[\s\S]*\S[\s\S]*", "is blank", "give it a value")
_ONE_LINE = Rule(r"[^\x00-\x1f\x7f]*", "contains a control character", "keep it to one line of plain text")

HANDLER_PATH = (
    _NOT_BLANK,
    Rule(r"[\s\S]{0,1024}", "is too long", "a path may have at most 1024 characters"),
    _ONE_LINE,
    Rule(r".*\\.*", "uses backslashes", "write paths with forward slashes, on Windows too", forbidden=True),
    Rule(r"(?:/|[A-Za-z]:).*", "is an absolute path", "write it relative to functions.yaml", forbidden=True),
    Rule(r".*\.d\.[cm]?ts", "is a declaration file, not a script", "name the script itself", forbidden=True),
    Rule(
        rf".*\.(?:{'|'.join(SCRIPT_SUFFIXES)})",
        "is neither TypeScript nor JavaScript",
        f"use a file that ends in .{', .'.join(SCRIPT_SUFFIXES)}",
    ),
)

FUNCTION_TYPE = (
    Rule(
        r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*",
        "is not a trigger type",
        "words with dots between them, such as user.sent.message",
    ),
)

PACKAGE_NAME = (
    Rule(
        r"(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]{0,213}",
        "is not an npm package name",
        "such as firebase or @google-cloud/storage",
    ),
    Rule(r"node_modules|favicon\.ico", "is a name that npm does not allow", "remove it", forbidden=True),
    Rule(
        "|".join(PLATFORM_PACKAGES),
        "is installed by the platform itself",
        "remove it; the platform chooses its version",
        forbidden=True,
    ),
)

# A simplified version of https://github.com/npm/node-semver#range-grammar.
_PARTIAL = r"[v=]?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_SIMPLE = rf"(?:(?:\^|~>?|[<>]=?|=) ?)?{_PARTIAL}"
_RANGE = rf"(?:{_PARTIAL} - {_PARTIAL}|{_SIMPLE}(?: {_SIMPLE})*)"
_TAG = r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
VERSION = (
    _NOT_BLANK,
    Rule(
        r"[\s\S]*[:/#][\s\S]*|[\s\S]*\.(?:[tT][gG][zZ]|[tT][aA][rR](?:\.[gG][zZ])?)",
        "is not a version from the npm registry",
        "only registry versions can be deployed: no files, folders, git repositories, aliases or addresses",
        forbidden=True,
    ),
    Rule(
        rf"{_RANGE}(?: ?\|\| ?{_RANGE})*|{_TAG}",
        "is not a version range",
        'such as "^9.8.2", "1.x", ">=1.2 <2" or "latest"',
    ),
)

SCRIPT_OF_PACKAGE = (
    Rule(
        r"(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]{0,213}(?:@\d+\.\d+\.\d+[0-9A-Za-z.+-]*)?",
        "is not an npm package",
        'a name such as sharp, or "sharp@0.34.5" for only one version',
    ),
)

FUNCTION_NAME = (_NOT_BLANK, _ONE_LINE)
FUNCTION_DESCRIPTION: tuple[Rule, ...] = ()

ENVIRONMENT = Entries(
    entry="environment variable",
    key_rules=(
        Rule(NAME, "is not a name for an environment variable", "use letters, digits and _, and no digit first"),
        Rule(
            rf"{PLATFORM_PREFIX}.*",
            "belongs to the platform, which sets it itself",
            f"remove it; no name may start with {PLATFORM_PREFIX}",
            forbidden=True,
        ),
    ),
    kind=Text(
        secret=True,
        rules=(
            Rule(r"[^\x00]*", "contains a NUL character", "environment variables cannot contain one"),
            Rule(TEMPLATE, "has a ${ that is not followed by a name and }", "write ${NAME}, or $${ for a literal ${"),
        ),
    ),
)

APPLICATION_ID = r"[1-9][0-9]{0,18}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

_RUNTIME = Section(
    "runtime",
    (
        Field(
            "dependencies",
            Entries("dependency", PACKAGE_NAME, Text(VERSION)),
            "npm packages that the functions share: name to version range. Absent means unmanaged.",
        ),
        Field(
            "environment",
            ENVIRONMENT,
            "Environment variables that the functions share. `${NAME}` comes from the shell, then from `.env.TARGET`, "
            "then from `.env`; `$$` is a literal `$`. Absent means unmanaged, `{}` manages an empty set.",
        ),
        Field(
            "initialization_script",
            Text(HANDLER_PATH),
            "The script whose exports every handler sees as globals: a path inside the project. "
            "Absent means unmanaged.",
        ),
        Field(
            "allow_scripts",
            Items("an entry of allow_scripts", Text(SCRIPT_OF_PACKAGE)),
            "npm packages whose install scripts ckfunc may run on this machine: NAME or NAME@VERSION. "
            "No other package runs one. It is not deployed.",
        ),
    ),
)

_FUNCTION = Section(
    "function",
    (
        Field("handler", Text(HANDLER_PATH), "The handler's script: a path inside the project.", required=True),
        Field("name", Text(FUNCTION_NAME), "The function's name. Default: the words of its trigger type."),
        Field("description", Text(FUNCTION_DESCRIPTION), "What the function does."),
        Field(
            "initialize_asynchronously",
            Flag(),
            "Whether the function is initialized in the background when it is created. Default: false.",
        ),
    ),
)

GATES = Items(
    "an entry of gates",
    Text(
        rules=(Rule(GATE, "is not a gate", "check, test, or replay:50 with a number of recorded invocations"),),
        suggestions=("check", "test", "replay:50"),
    ),
)

_HOOKS = Section(
    "hooks",
    (
        Field(
            "before_deploy",
            Text((_NOT_BLANK,)),
            "A command that runs before the first write, with the plan as JSON on standard input. "
            "If it fails, nothing is deployed.",
        ),
        Field(
            "after_deploy",
            Text((_NOT_BLANK,)),
            "A command that runs at the end of a deploy, with the report as JSON on standard input.",
        ),
    ),
)

_SETTINGS = Section(
    "settings",
    (
        Field(
            "guest_users",
            Flag(None),
            "Whether anyone may start a session as a guest, without a user of the application. Absent means unmanaged.",
        ),
        Field(
            "user_created_channels",
            Flag(None),
            "Whether chat clients may create channels. Absent means unmanaged.",
        ),
    ),
)

_TARGET = Section(
    "target",
    (
        Field("emulator", Flag(), "Whether the target is the local emulator. Default: false."),
        Field(
            "application",
            Text(
                whole_numbers=True,
                rules=(
                    Rule(
                        rf"{APPLICATION_ID}|\$\{{{NAME}\}}",
                        "is neither an application's id nor its key",
                        "an id is a number, a key is a UUID; ${NAME} is allowed",
                    ),
                ),
            ),
            "The id or key of the one application that this target may deploy to.",
        ),
        Field("protected", Flag(), "Whether deploys need confirmation, or --yes without a terminal."),
        Field("environment", ENVIRONMENT, "Environment variables of this target; they override those of `runtime`."),
        Field("settings", _SETTINGS, "Settings of this target's application; they override the manifest's `settings`."),
        Field(
            "gates", GATES, "Checks that must pass before a deploy to this target; they replace the manifest's `gates`."
        ),
        Field(
            "watch_for",
            Text((Rule(WATCH_FOR, "is not a duration", "such as 10m, 90s or 1h30m"),), suggestions=("10m", "1h")),
            "How long each deploy is watched; it is reverted if too many runs fail. Absent: deploys are not watched.",
        ),
        Field(
            "max_failures",
            Text((Rule(MAX_FAILURES, "is not a percentage", "such as 2% or 0.5%"),), suggestions=("0%", "2%", "5%")),
            "The share of runs that may fail in a watched deploy, on top of the earlier failure rate. Default: 2%.",
        ),
        Field(
            "min_runs",
            Whole(1, MOST_MIN_RUNS),
            "The number of runs of a new version after which a watched deploy judges it. Default: 20.",
        ),
    ),
)

MANIFEST = Section(
    "manifest",
    (
        Field(
            "version",
            Number(1, "is not supported by this ckfunc", "write `version: 1`, or update ckfunc"),
            "The version of the manifest's format.",
            required=True,
        ),
        Field("default_target", Text((_NOT_BLANK,)), "The default target, without --target."),
        Field(
            "runtime",
            _RUNTIME,
            "The runtime that all functions share. Absent means unmanaged: never compared, never changed.",
        ),
        Field(
            "functions",
            Entries(
                entry="trigger type",
                key_rules=FUNCTION_TYPE,
                kind=_FUNCTION,
                suggestions={trigger.type: trigger.when for trigger in TRIGGERS},
                when_empty=(
                    "functions is empty",
                    "list at least one function, or remove the section to leave functions unmanaged",
                ),
            ),
            "The chat functions, by trigger type. Absent means unmanaged.",
        ),
        Field("settings", _SETTINGS, "Settings of the application. Absent means unmanaged."),
        Field("gates", GATES, "Checks that must pass before a deploy: `check`, `test`, `replay:50`."),
        Field("hooks", _HOOKS, "Shell commands that `ckfunc deploy` runs in the project's directory."),
        Field(
            "targets",
            Entries(
                entry="target",
                key_rules=(
                    Rule(
                        r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}",
                        "is not a name for a target",
                        "use at most 64 letters, digits, - and _; the name is part of the file name .env.TARGET",
                    ),
                    Rule(
                        "[Ee][Xx][Aa][Mm][Pp][Ll][Ee]",
                        "cannot be a target's name",
                        "its variables would be in .env.example, which is for documentation",
                        forbidden=True,
                    ),
                ),
                kind=_TARGET,
                suggestions={"local": "The local emulator.", "staging": "", "production": ""},
                when_empty=("targets is empty", "list at least one target, or remove the section"),
            ),
            "Places to deploy to. Without it, there is one target, `default`; `local`, the emulator, always exists.",
        ),
    ),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `functions.yaml`, generated from the definition that `load` uses.

    It is draft 7, which every YAML language server supports. Rules that a schema cannot express (about files, variables
    and default_target) are only checked by `load`.
    """
    return schema_of(MANIFEST, "ckfunc manifest (functions.yaml)")


def fits(rules: tuple[Rule, ...], text: str) -> bool:
    """Return whether the manifest allows a text for which it has these rules."""
    return _is_unicode(text) and violated(rules, text) is None


def fits_dependency(name: str, version: str) -> bool:
    """Return whether the manifest allows this package as a dependency."""
    return fits(PACKAGE_NAME, name) and fits(VERSION, version)


def dependency_mistake(name: str, version: str) -> str | None:
    """Return why the manifest's rules do not allow a dependency; None if they do.

    The names of the platform's own packages are allowed here.
    """
    if name not in PLATFORM_PACKAGES and (error := _first_error(PACKAGE_NAME, name)) is not None:
        return f"{name[:80]!r} {error}"
    error = _first_error(VERSION, version)
    return None if error is None else f"version {version[:80]!r} of package {name} {error}"


def fits_script(text: str, *, blank: bool = False) -> bool:
    """Return whether a file of the project may contain this script; a handler may not be `blank`."""
    return _is_unicode(text) and len(text.encode("utf-8")) <= MAX_FILE_BYTES and (blank or bool(text.strip()))


def _first_error(rules: tuple[Rule, ...], text: str) -> str | None:
    if not _is_unicode(text):
        return "contains characters that are not valid text"
    broken = violated(rules, text)
    return with_hint(broken.wrong, broken.hint) if broken else None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
