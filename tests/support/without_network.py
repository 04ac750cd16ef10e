"""A program that runs another one where there is no network but loopback: `python without_network.py COMMAND...`.

On Linux, in a network namespace of its own; where none may be made it ends with CANNOT.
"""

from __future__ import annotations

import os
import subprocess
import sys

CANNOT = 125
_FLAGS_OF_AN_INTERFACE, _UP_AND_RUNNING = 0x8914, 0x41  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def environment() -> dict[str, str]:
    """Return variables that make npm and other programs use a proxy that does not exist.

    The registry stays: another one would be another installation.
    """
    nobody = "http://127.0.0.1:9"
    return {
        **os.environ,
        "HTTP_PROXY": nobody,
        "HTTPS_PROXY": nobody,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def possible() -> bool:
    """Return whether a network namespace can be created here."""
    probe = [sys.executable, __file__, sys.executable, "-c", "pass"]
    return sys.platform == "linux" and subprocess.run(probe, check=False, capture_output=True).returncode == 0


def main() -> None:
    """Disconnect this process from all networks but loopback, and execute the command."""
    import fcntl
    import socket
    import struct

    if os.environ.get("CKFUNC_TEST_CUT_OFF") != "1":
        os.environ["CKFUNC_TEST_CUT_OFF"] = "1"
        try:
            os.execvp("unshare", ["unshare", "--map-root-user", "--net", sys.executable, __file__, *sys.argv[1:]])
        except OSError:
            sys.exit(CANNOT)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _FLAGS_OF_AN_INTERFACE, struct.pack("16sH22x", b"lo", _UP_AND_RUNNING))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
