"""Confinement of handler processes by the Linux kernel: Landlock and seccomp.

Landlock restricts files and signals, seccomp restricts sockets. Both apply to the calling thread and the processes that
it starts. So Node is started by a thread that has restricted itself: no other thread is affected, and no wrapper
program is needed. Features that a kernel or a container does not support are skipped; `isolation` returns the active
ones.

Sources: Documentation/userspace-api/landlock.rst and seccomp_filter.rst of Linux, with the headers that they name.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ckfunc.base.frozen import frozen

_T = TypeVar("_T")


SYSTEM = (
    *("/etc/alternatives", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/fonts", "/etc/gai.conf", "/etc/group"),
    *("/etc/host.conf", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/passwd", "/etc/pki/ca-trust", "/etc/protocols"),
    *("/etc/services", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/gnu/store", "/home/linuxbrew/.linuxbrew/Cellar"),
    *("/lib32", "/nix/store", "/proc", "/run/systemd/resolve", "/sys/devices/system", "/sys/fs/cgroup"),
    *("/sys/kernel/mm", "/usr/lib32", "/usr/libexec", "/usr/local/lib"),
)
"""Files that Node and native code read to start and to find servers, in addition to those of processes.py.

In /proc, the kernel denies a confined process the memory, environment and open files of other processes.
"""

_DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")


@frozen
class Reach:
    """Files and sockets that a confined process may use. `listens` lets it accept connections, as a debugger needs."""

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    listens: bool = False


@frozen
class Isolation:
    """Restrictions that the kernel enforces."""

    files: bool = False
    """JavaScript, WASI and native code can only access the paths of Reach."""
    signals: bool = False
    """Signals cannot be sent to other processes."""
    sockets: bool = False
    """Unix sockets cannot be connected to, and no socket can listen."""


NO_ISOLATION = Isolation()


def call_confined(action: Callable[[], _T], reach: Reach) -> _T:
    """Call `action` in a thread that is confined to `reach`, and return its result. Raises what `action` raises.

    Processes that it starts stay confined.
    """
    if not isolation().files:
        return action()
    return _in_thread(lambda: (_confine(reach), action())[1])


@lru_cache
def isolation() -> Isolation:
    """Return the restrictions that this system enforces, determined by an attempt."""
    if platform.system() != "Linux" or _libc() is None:
        return NO_ISOLATION
    return _in_thread(lambda: _confine(Reach()))


def _in_thread(action: Callable[[], _T]) -> _T:
    results: list[_T] = []
    problems: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as problem:  # handed over to the caller's thread
            problems.append(problem)

    thread = threading.Thread(target=run, name="ckfunc-confined")
    try:
        thread.start()
    except RuntimeError as error:  # raised by Python when the process limit is reached
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    thread.join()
    if problems:
        raise problems[0]
    return results[0]


def _confine(reach: Reach) -> Isolation:
    """Restrict the calling thread permanently, as far as the kernel supports it."""
    _drop_capabilities()
    if _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return NO_ISOLATION
    version = _syscall(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    files = version >= 1 and _restrict_files(version, reach)
    return Isolation(files=files, signals=files and version >= _SCOPED_SINCE, sockets=_restrict_calls(reach))


# -- Landlock ----------------------------------------------------------------------------------------------------------

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_RULESET_VERSION = 1
_PATH_BENEATH = 1
_SCOPED_SINCE = 6
_SCOPES = 0b11  # abstract Unix sockets, signals
_WRITE = 1 << 1
_READ = 0b1101  # execute, read files, read directories
_ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl
_KNOWN_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))  # a version, and the number of rights that it knows


def _restrict_files(version: int, reach: Reach) -> bool:
    handled = (1 << max(count for since, count in _KNOWN_RIGHTS if since <= version)) - 1
    attributes = struct.pack("=QQQ", handled, 0, _SCOPES)[: 24 if version >= _SCOPED_SINCE else 8]
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path in (*map(Path, SYSTEM), *reach.reads):
            _allow(ruleset, path, _READ)
        for path in map(Path, _DEVICES):
            _allow(ruleset, path, _READ | _WRITE)
        for path in reach.writes:
            _allow(ruleset, path, handled)
        return _syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]  # Linux alone
    except OSError:
        return  # a missing path needs no rule
    try:
        if not path.is_dir():
            rights &= _ON_FILES
        _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


# -- seccomp -----------------------------------------------------------------------------------------------------------

# The number of seccomp, the architecture's constant, and the numbers of _NAMES.
_NAMES = (
    *("socket", "listen", "io_uring_setup", "add_key", "request_key", "keyctl", "ptrace"),
    *("process_vm_readv", "process_vm_writev", "perf_event_open", "bpf", "userfaultfd"),
    *("setpriority", "ioprio_set", "prlimit64"),
    *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open"),
)
_MACHINES = {
    "x86_64": (
        317,
        0xC000003E,
        (41, 50, 425, 248, 249, 250, 101, 310, 311, 298, 321, 323, 141, 251, 302, 62, 200, 234, 129, 297, 434),
    ),
    "aarch64": (
        277,
        0xC00000B7,
        (198, 201, 425, 217, 218, 219, 117, 270, 271, 241, 280, 282, 140, 30, 261, 129, 130, 131, 138, 240, 434),
    ),
}
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_SET_MODE_FILTER, _SPEC_ALLOW = 1, 1 << 2  # without the flag, older kernels slow the whole process down
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in struct seccomp_data
_X32 = 0x40000000
_AF_INET, _AF_INET6, _AF_NETLINK = 2, 10, 16
_UNWANTED = _NAMES[3:12]


def _restrict_calls(reach: Reach) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.byteorder != "little":
        return False
    seccomp, architecture, numbers = machine
    program = _filter(architecture, dict(zip(_NAMES, numbers, strict=True)), reach)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    return _syscall(seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, header) == 0


def _filter(architecture: int, number: dict[str, int], reach: Reach) -> list[tuple[int, int, int, int]]:
    """Return a filter program of (code, jump if true, jump if false, value). Other calls are allowed."""
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]

    def when(name: str, *rest: tuple[int, int, int, int]) -> None:
        program.extend([(_EQUAL, 0, len(rest), number[name]), *rest])

    def refused(error: int) -> tuple[int, int, int, int]:
        return (_RETURN, 0, 0, _REFUSE | error)

    def argument(index: int) -> tuple[int, int, int, int]:
        return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)

    allowed = (_RETURN, 0, 0, _ALLOW)
    families = [_AF_INET, _AF_INET6, _AF_NETLINK]
    checks = [(_EQUAL, len(families) - at, 0, family) for at, family in enumerate(families)]
    when("socket", argument(0), *checks, refused(errno.EACCES), allowed)
    if not reach.listens:
        when("listen", refused(errno.EACCES))
    when("io_uring_setup", refused(errno.ENOSYS))  # it could open sockets, bypassing this filter
    for name in _UNWANTED:
        when(name, refused(errno.EPERM))
    for name, index in (("setpriority", 1), ("ioprio_set", 1), ("prlimit64", 0)):  # of others than the caller
        when(name, argument(index), (_EQUAL, 1, 0, 0), refused(errno.EPERM), allowed)
    # For older versions of Landlock without signals: protect at least this process, its group, and "all".
    group = os.getpgrp()  # type: ignore[attr-defined,unused-ignore]  # Linux alone
    ours = {os.getpid(), -group & 0xFFFFFFFF, 0xFFFFFFFF}
    targets = [(_EQUAL, len(ours) - at, 0, target) for at, target in enumerate(sorted(ours))]
    for name in ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open"):
        when(name, argument(0), *targets, allowed, refused(errno.EPERM))
    return [*program, allowed]


# -- calls -------------------------------------------------------------------------------------------------------------

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
# Needed for files of other users (chown, dac_override, fowner, fsetid): root in a container works in such directories.
_NEEDED_CAPABILITIES = 0b11011


def _drop_capabilities() -> None:
    """Drop the privileges of root that no handler needs, such as access to the memory of the system."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    have = ctypes.create_string_buffer(24)
    if _call("capget", header, have) != 0:
        return
    sets = struct.unpack("=6I", have.raw)
    if any(sets):
        needed = [capabilities & _NEEDED_CAPABILITIES for capabilities in sets[:3]]
        _call("capset", header, struct.pack("=6I", *needed, 0, 0, 0))


def _syscall(number: int, *arguments: Any) -> int:
    return _call("syscall", number, *arguments)


def _call(name: str, *arguments: Any) -> int:
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return int(getattr(_libc(), name)(*words))


@lru_cache
def _libc() -> Any:
    try:
        return ctypes.CDLL(None)
    except OSError:
        return None
