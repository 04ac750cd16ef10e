"""How a host's Node is called: what it may read and write, and how much memory it may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ckfunc.model.execution import Limits
from ckfunc.runtime.confinement import Reach
from ckfunc.runtime.contents import MARKER
from ckfunc.runtime.node import node_executable

PROGRAMS = (Path(__file__).parent / "node").resolve()
_MIB = 1024 * 1024

SEAL_BYTES = 16
"""How many bytes a host is sent first, with which all its frames begin."""

# Packages look here to find out which system they are on (which of their binaries to load, which certificates there
# are), and a refusal breaks them. Nothing of a developer's is in these places.
_SYSTEM_FILES = (
    "/etc/alpine-release",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/tls",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/lib",
    "/lib64",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/version",
    "/usr/bin/ldd",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share",
)


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of a host: installed packages, compiled scripts, V8's cache, and where handlers may write."""

    runtime: Path
    scripts: Path
    compile_cache: Path
    scratch: Path

    @property
    def read(self) -> tuple[Path, ...]:
        """What a host reads of its own. The scripts of other projects lie below `runtime` too."""
        packages = self.runtime / "node_modules", self.runtime / "package.json", self.runtime / MARKER
        return (PROGRAMS, *packages, self.scripts, self.scratch, self.compile_cache)


def host_reach(places: Places, *, inspected: bool = False) -> Reach:
    """Return what the kernel lets a host use, where it can confine it. Raises NodeMissing."""
    own = (node_executable().resolve(), *places.read, *map(Path, _SYSTEM_FILES))
    return Reach(own, (places.scratch, places.compile_cache), listens=inspected)


def host_command(places: Places, limits: Limits, *, confined: bool, inspected: bool = False) -> list[str]:
    """Return the command, with the words INPUT and OUTPUT for the numbers of its descriptors. Raises NodeMissing.

    One that is `inspected` may let debuggers attach. `confined` tells that the kernel enforces `host_reach`.
    """
    reads = (*places.read, *_SYSTEM_FILES)
    writes = (places.scratch, places.compile_cache)
    return [
        str(node_executable()),
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=SecurityWarning",
        f"--max-old-space-size={max(16, limits.memory_bytes // _MIB)}",
        # Alone it is no sandbox against malice, since native code is not asked; where the kernel confines the process
        # too, it gives the better messages.
        "--permission",
        "--allow-addons",
        "--allow-worker",
        *(["--allow-wasi"] if confined else ()),  # WASI opens any file, whatever is allowed here
        "--no-experimental-sqlite",  # it opens any file, whatever is allowed here
        *(["--allow-inspector"] if inspected else ()),
        *(f"--allow-fs-read={one}" for one in reads),
        *(f"--allow-fs-write={one}" for one in writes),
        str(PROGRAMS / "host.mjs"),
        "INPUT",
        "OUTPUT",
        str(SEAL_BYTES),
        str(places.compile_cache),
    ]
