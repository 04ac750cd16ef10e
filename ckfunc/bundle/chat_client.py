"""The vendor's chat client as one JavaScript module for browsers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.bundle.cache import ESBUILD
from ckfunc.bundle.esbuild import executable, run
from ckfunc.runtime.install import install
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy

CLIENT = "@chatkitty/client"
PACKAGES = {CLIENT: "2.105.8", "@stomp/rx-stomp": "2.4.0", "axios": "1.21.1"}
"""The client and its peers."""

_OPTIONS = ("--bundle", "--minify", "--format=esm", "--platform=browser", "--charset=utf8", "--log-level=error")


def chat_client(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> bytes:
    """Return the module, installed and bundled if it is not in the cache.

    Raises NoBundler, DependenciesFailed, CacheRefused and NodeMissing.
    """
    script = cache / f"chat-client-{digest(json.dumps([PACKAGES, ESBUILD, _OPTIONS]))[:16]}.js"
    try:
        return read_file(script)
    except OSError:
        pass
    directory = install(PACKAGES, cache, on_progress, policy=policy)
    program = executable(cache, on_progress, policy)
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "client.js"
        output = run(program, [CLIENT, *_OPTIONS, f"--outfile={built}"], directory)
        if output:
            raise CkfuncError(f"{CLIENT} could not be bundled: {output.strip()}")
        text = built.read_bytes()
    write_atomically(script, text.decode("utf-8"))
    return text
