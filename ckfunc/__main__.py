"""Where the process begins: nothing is imported before Ctrl-C is looked after."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; never returns."""
    try:
        from ckfunc.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
