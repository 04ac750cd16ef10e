"""Runs ckfunc as `python -m ckfunc`."""

from ckfunc.cli.main import main

if __name__ == "__main__":
    main()
