"""`ckfunc completion`: generate shell completions."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ckfunc.base.files import templates
from ckfunc.cli.app import App
from ckfunc.cli.options import argument, command

_COMPINIT = """\
if (( ! $+functions[compdef] )); then
    autoload -Uz compinit && compinit -i
fi
"""
"""What gives zsh its completion system, where nothing else has."""


@command
@argument("shell", kind=click.Choice(["bash", "zsh", "fish"]))
def completion(app: App, shell: str) -> None:
    """Print a script for SHELL that completes commands, options, trigger types, targets, channels and users."""
    if shell == "bash":
        # It gets the line up to the cursor: bash ends words at an `@` and at other characters too.
        script = (templates() / "completion.bash").read_text(encoding="utf-8")
    else:
        completion_class = get_completion_class(shell)
        assert completion_class is not None  # noqa: S101 - click knows these shells
        root = click.get_current_context().find_root().command
        completer = completion_class(root, {}, "ckfunc", "_CKFUNC_COMPLETE")
        # Not source(): the printed script may be for another machine.
        script = str(completer.source_template % completer.source_vars())
        script = script.replace("#compdef ckfunc\n", f"#compdef ckfunc\n{_COMPINIT}", 1)  # only zsh has this line
    app.output.text(script)
