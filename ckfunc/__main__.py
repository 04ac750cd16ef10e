"""The entry point of the process. Imports next to nothing before Ctrl-C is handled."""

from __future__ import annotations

import sys

from ckfunc.base.interrupts import EXIT_INTERRUPTED, catch_interrupts


def main() -> None:
    """Run the command line; never returns."""
    try:
        catch_interrupts()
        from ckfunc.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except ImportError as error:  # the command line itself cannot be imported, because click is missing
        from ckfunc.base.errors import IncompleteInstallation

        problem = IncompleteInstallation.of(error)
        if problem is None:
            raise
        sys.exit(f"error: {problem.message}\nhint: {problem.hint}")
    finally:
        # After Ctrl-C in a string that Python executed, such as a dataclass's methods, `python -m` would end by SIGINT
        # instead of with the exit code, although the interrupt was handled. Executing another string resets that.
        exec("")  # noqa: S102


if __name__ == "__main__":
    main()
