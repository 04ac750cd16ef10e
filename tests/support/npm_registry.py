"""An npm registry on loopback, and an npm without the developer's configuration."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def answers(
    *packages: Mapping[str, Any], files: Mapping[str, Mapping[str, str]] | None = None
) -> Callable[[Request], Reply]:
    """Return what answers as a registry that has one version of each package. `files` are added, by package name."""
    made = {one["name"]: (one, tarball(one, (files or {}).get(one["name"]))) for one in packages}

    def answer(request: Request) -> Reply:
        name, _, file = request.path.replace("%2f", "/").strip("/").partition("/-/")
        if name not in made:
            return Reply(404, {"error": "not found"})
        package, data = made[name]
        if file:
            return Reply(200, data, {"content-type": "application/octet-stream"})
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        version, stem = package["version"], name.rpartition("/")[2]
        address = f"http://{request.headers['host']}/{name}/-/{stem}-{version}.tgz"
        versions = {version: {**package, "dist": {"tarball": address, "integrity": integrity}}}
        return Reply(200, {"name": name, "dist-tags": {"latest": version}, "versions": versions})

    return answer


@contextmanager
def registry(
    *packages: Mapping[str, Any], status: int = 200, files: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Loopback]:
    """Serve one version of each package; with another `status`, refuse every request with it."""
    answer = answers(*packages, files=files) if status == 200 else lambda _: Reply(status, {"error": "refused"})
    with serve(answer) as server:
        yield server
