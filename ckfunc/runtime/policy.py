"""Project and user settings for installs: .npmrc and allowed install scripts.

npm runs with a home directory of its own. From the project's, the user's and the global `.npmrc`, it gets the settings
for registries and connections, and those that choose versions. All other settings that would change the result of an
install (`ignore-scripts`, `omit`, `dry-run`, `install-strategy`, `cpu` …) are ignored.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.errors import DependenciesFailed
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.lock import PackageLock

_NAME = ".npmrc"
_MAX_BYTES = 1024 * 1024
_IDENTITY = (
    *("before", "engine-strict", "legacy-peer-deps", "min-release-age", "min-release-age-exclude"),
    *("registry", "strict-peer-deps", "tag"),
)
"""Settings that choose which versions are installed, and from where."""
_REACHING = (
    *("ca", "cafile", "cert", "key", "strict-ssl", "proxy", "https-proxy", "http-proxy", "noproxy", "local-address"),
    *("maxsockets", "fetch-retries", "fetch-retry-factor", "fetch-retry-maxtimeout", "fetch-retry-mintimeout"),
    *("fetch-timeout", "offline", "prefer-offline", "prefer-online", "cache"),
    *("replace-registry-host", "user-agent"),
)
"""Settings for reaching a registry; they do not change the result of an installation."""
_REGISTRY = "npm's own registry"
_PATHS = re.compile(r"(?:cafile|cache|//.*:(?:cafile|certfile|keyfile))\Z")
_SCOPE = re.compile(r"@[^:/\s]+:registry\Z")
_ENVIRONMENT = re.compile(r"npm_config_(.+)\Z", re.IGNORECASE | re.DOTALL)
# Source: npm's env-replace.js.
_REFERENCE = re.compile(r"(?<!\\)(\\*)\$\{([^${}?]+)(\?)?\}")


@frozen
class InstallPolicy:
    """Settings of a project for installs.

    `project` is the directory whose .npmrc is used. `allow_scripts` are the packages (NAME or NAME@VERSION) whose
    install scripts may run, but only if all packages to install are in `dependencies`, which are those of the manifest:
    packages that were set through the API never run scripts. If `lock` is one of the packages to install, exactly its
    packages are installed.
    """

    project: Path | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    allow_scripts: tuple[str, ...] = ()
    lock: PackageLock | None = None

    def lock_of(self, dependencies: Mapping[str, str]) -> PackageLock | None:
        """Return the lock if it is one of these packages."""
        return self.lock if self.lock is not None and self.lock.covers(dependencies) else None

    def scripts_for(self, dependencies: Mapping[str, str]) -> tuple[str, ...]:
        """Return the entries of `allow_scripts` that apply to these packages."""
        declared = {**PLATFORM_RANGES, **self.dependencies}
        lock = self.lock_of(dependencies)
        ranges = dependencies if lock is None else lock.dependencies
        locked = all(declared.get(name) == version for name, version in ranges.items())
        return tuple(sorted(set(self.allow_scripts))) if locked else ()


NO_POLICY = InstallPolicy()

Policy: TypeAlias = Callable[[], InstallPolicy]
"""Returns the current policy, because the manifest may change while an emulator runs. Never raises."""


def no_policy() -> InstallPolicy:
    """Return the policy of an emulator without a project."""
    return NO_POLICY


class NpmrcProblem(DependenciesFailed):
    """A `.npmrc` has a mistake."""


@frozen
class NpmSettings:
    """Settings for npm. `npmrc` is the text of its `.npmrc`; `variables` are the environment variables they refer to.

    `identity` are the settings that change which packages are installed, without secrets. `unset` are ends of sentences
    about credentials that were left out because a variable is not set.
    """

    npmrc: Secret = field(default_factory=lambda: Secret(""))
    variables: Mapping[str, Secret] = field(default_factory=dict)
    identity: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()

    @property
    def registries(self) -> str:
        """The registries by address, for a sentence."""
        named = {"registry": _REGISTRY, **dict(self.identity)}
        return " and ".join(dict.fromkeys(value for key, value in named.items() if key.endswith("registry")))


@frozen
class _Setting:
    key: str
    value: Secret
    place: str
    directory: Path


def npm_settings(project: Path | None, environ: Mapping[str, str] | None = None) -> NpmSettings:
    """Return the settings for a project (None: no project). The environment overrides project, user and global files.

    Raises NpmrcProblem for a variable that has no value, unless only credentials need it.
    """
    environ = os.environ if environ is None else environ
    by_key: dict[str, list[_Setting]] = {}
    for file, shown in _files(project, environ):
        own: dict[str, list[_Setting]] = {}
        for setting in _read(file, shown):
            own[setting.key] = [*own.get(setting.key, ()), setting] if setting.key.endswith("[]") else [setting]
        by_key |= own
    from_environment = dict(_environment_settings(environ))
    for name, value in from_environment.items():
        key = _key_of(name)
        by_key.pop(f"{key}[]", None)
        by_key[key] = [_Setting(key, Secret(value), name, Path())]
    unset: list[str] = []
    lines: list[str] = []
    variables = from_environment
    identity: dict[str, str] = {}
    for key, settings in sorted(by_key.items()):
        for setting in settings:
            given = setting.value.reveal()
            names = [name for _, name, optional in _REFERENCE.findall(given) if not optional]
            missing = [name for name in names if name not in environ]
            if missing and key.startswith("//"):
                unset += [f"{setting.place} uses ${{{name}}}, which is not set" for name in missing]
                continue
            if missing:
                raise NpmrcProblem(
                    f"{setting.place} uses ${{{missing[0]}}}, which is not set",
                    hint=f"set {missing[0]} in the environment; npm settings do not use .env files",
                )
            variables |= {name: environ[name] for _, name, _ in _REFERENCE.findall(given) if name in environ}
            plain = _plain(given, environ)
            if _ENVIRONMENT.match(setting.place) is None:
                value = _absolute(plain, setting, environ) if _PATHS.match(key) else given
                lines.append(f"{key} = {value}\n")
            if _changes_packages(key.removesuffix("[]")):
                identity[key] = f"{identity[key]}\n{plain}" if key in identity else _address(key, plain)
    return NpmSettings(Secret("".join(lines)), secret_values(variables), tuple(sorted(identity.items())), tuple(unset))


def npm_home(environ: Mapping[str, str]) -> Path | None:
    """Return the developer's home directory as npm determines it, or None."""
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(home) if home and Path(home).is_absolute() else None


def _files(project: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the files to read, those with the lowest precedence first, each with its name in messages."""
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
    if path := environ.get("npm_config_globalconfig") or environ.get("NPM_CONFIG_GLOBALCONFIG"):
        return Path(path)
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
    top = next((directory for directory in (project, *project.parents) if (directory / ".git").exists()), project)
    for directory in (project, *project.parents):
        if (directory / _NAME).is_file():
            return directory / _NAME
        if directory == top:
            return None
    return None


def _read(file: Path, shown: str) -> Iterator[_Setting]:
    """Yield the supported settings of a file, parsed like npm: `key = value` lines, comments after ; and #."""
    try:
        text = read_file(file, limit_bytes=_MAX_BYTES, pipe=True).decode("utf-8-sig", "replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in ";#[":
            continue
        key, equals, value = stripped.partition("=")
        key, value = key.strip().strip("\"'"), value.strip() if equals else "true"
        if _is_supported(key.removesuffix("[]")):
            yield _Setting(key, Secret(value), f"line {number} of {shown}", file.parent)


def _environment_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if value and (key := _key_of(name)) and _is_supported(key):
            yield name, value


def _key_of(name: str) -> str:
    """Return the setting that a variable sets. Source: npm's config, loadEnv."""
    match = _ENVIRONMENT.match(name)
    key = match[1] if match else ""
    return key if key.startswith("//") else re.sub(r"(?!^)_", "-", key).lower()


def _is_supported(key: str) -> bool:
    return key.startswith("//") or key in _REACHING or _changes_packages(key)


def _changes_packages(key: str) -> bool:
    return key in _IDENTITY or bool(_SCOPE.match(key))


def _plain(value: str, environ: Mapping[str, str]) -> str:
    text = _REFERENCE.sub(lambda match: environ.get(match[2], ""), value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _absolute(plain: str, setting: _Setting, environ: Mapping[str, str]) -> str:
    """Return an absolute path, because npm runs in another directory and with another home."""
    home = npm_home(environ)
    if plain.startswith(("~/", "~\\")) and home is not None:
        return str(home / plain[2:])
    return str(setting.directory / plain)


def _address(key: str, value: str) -> str:
    return without_login(value).rstrip("/") if key.endswith("registry") else value


def without_login(address: str) -> str:
    """Return an address without user name and password."""
    return re.sub(r"//[^/@]*@", "//", address)
