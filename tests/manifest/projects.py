"""Projects on disk for tests of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ckfunc.base.errors import InvalidManifest
from ckfunc.manifest.project import load

HANDLER = "export default async () => true;\n"

EXAMPLE = """\
# yaml-language-server: $schema=.ckfunc/functions.schema.json
version: 1
default_target: local
runtime:
  dependencies:
    firebase: ^9.8.2
  environment:
    SUPPORT_CHANNEL: "702"
    OPENAI_API_KEY: ${OPENAI_API_KEY}        # from the process, then .env.<target>, then .env
  initialization_script: init.ts
functions:
  user.attempted.start_session:
    handler: handlers/start-session.ts
    name: User Attempted Start Session         # default: the type's words
    description: Lets known users in           # optional
    initialize_asynchronously: false           # default
targets:
  local: {emulator: true}
  staging:
    application: 19b458d0-2b50-491c-8f13-65ec12f3978e   # key or id: deploying to another application is refused
  production:
    application: 42
    protected: true                            # asks first; needs --yes where nobody can be asked
    environment: {SUPPORT_CHANNEL: "9"}        # overrides
"""

MINIMAL = "version: 1\nfunctions:\n  user.sent.message: {handler: a.ts}\n"


def project(root: Path, manifest: str | bytes = MINIMAL, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Write a manifest and files (by default the handler `a.ts`) under `root`, byte by byte, and return `root`."""
    for name, content in {"functions.yaml": manifest, "a.ts": HANDLER, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def problems(root: Path, target: str | None = None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the errors that `load` reports, as shown to the user; an empty list if there are none."""
    try:
        load(root, target, environ or {})
    except InvalidManifest as error:
        return [str(problem) for problem in error.problems]
    return []
