"""Project and user settings for installs: .npmrc and allowed install scripts.

npm runs with a home directory of its own. From the project's, the user's and the global `.npmrc` it gets the settings
that say where packages come from and how to reach them, and the few that choose versions. Everything else that would
change the result of an install (`ignore-scripts`, `omit`, `dry-run`, `install-strategy`, `cpu` …) does not count.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.errors import DependenciesFailed
from ckfunc.base.files import read_file
from ckfunc.model.application import DEFAULT_PACKAGES

_PLATFORM = {one.name: one.version for one in DEFAULT_PACKAGES}

_NAME = ".npmrc"
_MAX_BYTES = 1024 * 1024
_IDENTITY = (
    *("before", "engine-strict", "legacy-peer-deps", "min-release-age", "min-release-age-exclude"),
    *("registry", "strict-peer-deps", "tag"),
)
"""Settings that choose which versions are installed, and from where."""
_REACHING = (
    *("ca", "cafile", "cert", "key", "strict-ssl", "proxy", "https-proxy", "http-proxy", "noproxy", "local-address"),
    *("maxsockets", "fetch-retries", "fetch-timeout", "offline", "prefer-offline", "prefer-online", "cache"),
    *("replace-registry-host", "user-agent"),
)
"""Settings for reaching a registry; they do not change the result of an installation."""
_PATHS = re.compile(r"(?:cafile|cache|//.*:(?:cafile|certfile|keyfile))\Z")
_SCOPE = re.compile(r"@[^:/\s]+:registry\Z")
_ENVIRONMENT = re.compile(r"npm_config_(.+)\Z", re.IGNORECASE | re.DOTALL)
# Source: npm's env-replace.js.
_REFERENCE = re.compile(r"(?<!\\)(\\*)\$\{([^${}?]+)(\?)?\}")


@dataclass(frozen=True, slots=True)
class InstallPolicy:
    """Settings of a project for installs.

    `project` is the directory whose .npmrc counts. `allow_scripts` are package names, or NAME@VERSION, whose install
    scripts may run, if every package to install is in `dependencies`, which are the manifest's: packages that were set
    through the API run no script.
    """

    project: Path | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    allow_scripts: tuple[str, ...] = ()

    def scripts_for(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        """Return the entries of `allow_scripts` that apply to these packages."""
        declared = {**_PLATFORM, **self.dependencies}
        known = all(declared.get(name) == version for name, version in wanted.items())
        return tuple(sorted(set(self.allow_scripts))) if known else ()


NO_POLICY = InstallPolicy()

Policy: TypeAlias = Callable[[], InstallPolicy]
"""Returns the current policy: the manifest of a project may change while an emulator runs. Never raises."""


def no_policy() -> InstallPolicy:
    """Return the policy of an emulator without a project."""
    return NO_POLICY


class NpmrcProblem(DependenciesFailed):
    """A `.npmrc` cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class NpmSettings:
    """Settings for npm. `lines` are those of its `.npmrc`; `variables` are the environment variables they refer to.

    `identity` names the settings that change which packages are installed, without secrets. `unset` says which
    credentials were left out because a variable is not set, as the end of a sentence.
    """

    lines: tuple[str, ...] = field(default=(), repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    identity: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Setting:
    key: str
    value: str
    place: str
    directory: Path


def npm_settings(project: Path | None, environ: Mapping[str, str] | None = None) -> NpmSettings:
    """Return the settings for a project, or for none. The environment wins over project, user and global files.

    Raises NpmrcProblem for a variable that has no value, unless only credentials need it.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, list[_Setting]] = {}
    for file, shown in _files(project, environ):
        own: dict[str, list[_Setting]] = {}
        for one in _read(file, shown):
            own[one.key] = [*own.get(one.key, ()), one] if one.key.endswith("[]") else [one]
        chosen |= own
    from_environment = dict(_environment_settings(environ))
    for name, value in from_environment.items():
        key = _key_of(name)
        chosen.pop(f"{key}[]", None)
        chosen[key] = [_Setting(key, value, name, Path())]
    unset: list[str] = []
    lines: list[str] = []
    variables = from_environment
    identity: dict[str, str] = {}
    for key, settings in sorted(chosen.items()):
        for one in settings:
            names = [name for _, name, optional in _REFERENCE.findall(one.value) if not optional]
            missing = [name for name in names if name not in environ]
            if missing and key.startswith("//"):
                unset += [f"{one.place} uses ${{{name}}}, which is not set" for name in missing]
                continue
            if missing:
                raise NpmrcProblem(
                    f"{one.place} uses ${{{missing[0]}}}, which is not set",
                    hint=f"set {missing[0]} in the environment; npm settings do not use .env files",
                )
            variables |= {name: environ[name] for _, name, _ in _REFERENCE.findall(one.value) if name in environ}
            plain = _plain(one.value, environ)
            if _ENVIRONMENT.match(one.place) is None:
                value = _absolute(plain, one, environ) if _PATHS.match(key) else one.value
                lines.append(f"{key} = {value}")
            if _counts(key.removesuffix("[]")):
                identity[key] = f"{identity[key]}\n{plain}" if key in identity else _without_login(key, plain)
    return NpmSettings(tuple(lines), variables, tuple(sorted(identity.items())), tuple(unset))


def npm_home(environ: Mapping[str, str]) -> Path | None:
    """Return the developer's home directory as npm sees it; None when there is none."""
    given = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(given) if given and Path(given).is_absolute() else None


def _files(project: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the files to read, the weakest first, each with the name that messages call it by."""
    home = npm_home(environ)
    user = environ.get("npm_config_userconfig") or environ.get("NPM_CONFIG_USERCONFIG")
    own = Path(user) if user else home / _NAME if home else None
    if (everyone := _global_file(environ)) is not None:
        yield everyone, str(everyone)
    if own is not None:
        yield own, str(own) if user else f"~/{_NAME}"
    if project is not None and (nearest := _project_file(project)) is not None and nearest != own:
        yield nearest, os.path.relpath(nearest, project)


def _global_file(environ: Mapping[str, str]) -> Path | None:
    if given := environ.get("npm_config_globalconfig") or environ.get("NPM_CONFIG_GLOBALCONFIG"):
        return Path(given)
    prefix = environ.get("npm_config_prefix") or environ.get("NPM_CONFIG_PREFIX") or environ.get("PREFIX")
    if prefix:
        return Path(prefix) / "etc" / "npmrc"
    node = shutil.which("node", path=environ.get("PATH"))
    if node is None:
        return None
    place = Path(node).resolve().parent
    return (place if sys.platform == "win32" else place.parent) / "etc" / "npmrc"


def _project_file(project: Path) -> Path | None:
    """Return the nearest `.npmrc` at or above the project, up to the top of its repository."""
    top = next((one for one in (project, *project.parents) if (one / ".git").exists()), project)
    for directory in (project, *project.parents):
        if (directory / _NAME).is_file():
            return directory / _NAME
        if directory == top:
            return None
    return None


def _read(file: Path, shown: str) -> Iterator[_Setting]:
    """Yield the settings of a file that count, as npm reads them: `key = value` lines, comments after ; and #."""
    try:
        text = read_file(file, limit_bytes=_MAX_BYTES, pipe=True).decode("utf-8-sig", "replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if not said or said[0] in ";#[":
            continue
        key, equals, value = said.partition("=")
        key, value = key.strip().strip("\"'"), value.strip() if equals else "true"
        if _is_taken(key.removesuffix("[]")):
            yield _Setting(key, value, f"line {number} of {shown}", file.parent)


def _environment_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if value and (key := _key_of(name)) and _is_taken(key):
            yield name, value


def _key_of(name: str) -> str:
    """Return the setting that a variable sets. Source: npm's config, loadEnv."""
    found = _ENVIRONMENT.match(name)
    key = found[1] if found else ""
    return key if key.startswith("//") else re.sub(r"(?!^)_", "-", key).lower()


def _is_taken(key: str) -> bool:
    return key.startswith("//") or key in _REACHING or _counts(key)


def _counts(key: str) -> bool:
    return key in _IDENTITY or bool(_SCOPE.match(key))


def _plain(value: str, environ: Mapping[str, str]) -> str:
    text = _REFERENCE.sub(lambda found: environ.get(found[2], ""), value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _absolute(plain: str, setting: _Setting, environ: Mapping[str, str]) -> str:
    """Return a path as absolute, since npm runs in another directory and with another home."""
    home = npm_home(environ)
    if plain.startswith(("~/", "~\\")) and home is not None:
        return str(home / plain[2:])
    return str(setting.directory / plain)


def _without_login(key: str, value: str) -> str:
    return re.sub(r"//[^/@]*@", "//", value).rstrip("/") if key.endswith("registry") else value
