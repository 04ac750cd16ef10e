"""The command line and a project, as in the tests of commands."""

from cli.conftest import ckfunc, project

__all__ = ["ckfunc", "project"]
