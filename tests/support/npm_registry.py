"""An npm registry on loopback, and an npm without the developer's configuration."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from support.loopback import Loopback, Reply, Request, serve

TINY: dict[str, Any] = {"name": "tiny", "version": "1.2.3", "main": "index.js"}
SCRIPTED: dict[str, Any] = {
    "name": "@acme/native",
    "version": "1.0.0",
    "main": "index.js",
    "scripts": {"postinstall": "node build.js"},
    "hasInstallScript": True,
}
"""A package whose postinstall script makes the file that its main needs."""

SCRIPTED_FILES = {
    "index.js": "module.exports = require('./made.js');",
    "build.js": (
        "const environment = JSON.stringify(JSON.stringify(process.env));"
        "require('fs').writeFileSync('made.js', `module.exports = ${environment}`)"
    ),
}


Serve: TypeAlias = Callable[..., Loopback]
"""Replaces the registry that npm uses by one of these packages."""


def package(name: str, version: str, **more: Any) -> dict[str, Any]:
    """Return the package.json of a package that includes its types."""
    return {"name": name, "version": version, "main": "index.js", "types": "index.d.ts", **more}


def tarball(package: Mapping[str, Any], files: Mapping[str, str] | None = None) -> bytes:
    """Return the tarball of a package."""
    contents = {
        "package.json": json.dumps(package),
        "index.js": "module.exports = 'tiny';",
        **dict.fromkeys(package.get("files", ()), ""),
        **(files or {}),
    }
    buffer = io.BytesIO()
    with GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def answers(
    *packages: Mapping[str, Any],
    files: Mapping[str, Mapping[str, str]] | None = None,
    advisories: Reply | None = None,
) -> Callable[[Request], Reply]:
    """Return the handler of a registry with these versions of packages; the last version of a package is its latest.

    `files` are added, by package name. `advisories` is the reply of the advisory service, if there is one.
    """
    made: dict[str, dict[str, tuple[Mapping[str, Any], bytes]]] = {}
    for package in packages:
        made.setdefault(package["name"], {})[package["version"]] = (
            package,
            tarball(package, (files or {}).get(package["name"])),
        )

    def answer(request: Request) -> Reply:
        if advisories is not None and request.path == "/-/npm/v1/security/advisories/bulk":
            return advisories
        name, _, file = request.path.replace("%2f", "/").strip("/").partition("/-/")
        if name not in made:
            return Reply(404, {"error": "not found"})
        stem = name.rpartition("/")[2]
        if file:
            _, data = made[name][file.removeprefix(f"{stem}-").removesuffix(".tgz")]
            return Reply(200, data, {"content-type": "application/octet-stream"})
        versions = {}
        for version, (package, data) in made[name].items():
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            address = f"http://{request.headers['host']}/{name}/-/{stem}-{version}.tgz"
            versions[version] = {**package, "dist": {"tarball": address, "integrity": integrity}}
        return Reply(200, {"name": name, "dist-tags": {"latest": list(versions)[-1]}, "versions": versions})

    return answer


@contextmanager
def registry(
    *packages: Mapping[str, Any],
    status: int = 200,
    files: Mapping[str, Mapping[str, str]] | None = None,
    advisories: Reply | None = None,
) -> Iterator[Loopback]:
    """Serve versions of packages (see `answers`); with another `status`, refuse every request with it."""
    answer = (
        answers(*packages, files=files, advisories=advisories)
        if status == 200
        else lambda _: Reply(status, {"error": "refused"})
    )
    with serve(answer) as server:
        yield server


@contextmanager
def own_npm(place: Path, files: Mapping[str, Mapping[str, str]]) -> Iterator[Serve]:
    """Give npm and ckfunc empty caches in `place`, and a function that serves a registry with `files` to them."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        patch.setenv("npm_config_userconfig", str(place / "npmrc"))
        patch.setenv("npm_config_cache", str(place / "npm"))
        patch.setenv("CKFUNC_CACHE_DIR", str(place / "cache"))
        for name in ("NODE_EXTRA_CA_CERTS", "npm_config_registry"):
            patch.delenv(name, raising=False)

        def use(*packages: Mapping[str, Any], advisories: Reply | None = None) -> Loopback:
            server = opened.enter_context(registry(*packages, files=files, advisories=advisories))
            (place / "npmrc").write_text(f"registry={server.url}/\nfetch-retries=0\n")
            return server

        yield use
