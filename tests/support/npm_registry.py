"""An npm registry on loopback, and an npm without the developer's configuration."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from gzip import GzipFile
from typing import Any

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


def tarball(package: Mapping[str, Any], files: Mapping[str, str] | None = None) -> bytes:
    """Return what a registry serves for a package."""
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
    *packages: Mapping[str, Any], files: Mapping[str, Mapping[str, str]] | None = None
) -> Callable[[Request], Reply]:
    """Return what answers as a registry of these versions of packages, of which the last one given is the latest.

    `files` are added, by package name.
    """
    made: dict[str, dict[str, tuple[Mapping[str, Any], bytes]]] = {}
    for one in packages:
        made.setdefault(one["name"], {})[one["version"]] = (one, tarball(one, (files or {}).get(one["name"])))

    def answer(request: Request) -> Reply:
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
    *packages: Mapping[str, Any], status: int = 200, files: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Loopback]:
    """Serve versions of packages (see `answers`); with another `status`, refuse every request with it."""
    answer = answers(*packages, files=files) if status == 200 else lambda _: Reply(status, {"error": "refused"})
    with serve(answer) as server:
        yield server
