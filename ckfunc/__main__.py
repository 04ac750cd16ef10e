"""The entry point of the process. Imports next to nothing before Ctrl-C is handled."""

from __future__ import annotations

import sys

from ckfunc.base.errors import EXIT_INTERRUPTED
from ckfunc.base.interrupts import catch_interrupts


def main() -> None:
    """Run the command line; never returns."""
    try:
        catch_interrupts()
        from ckfunc.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
