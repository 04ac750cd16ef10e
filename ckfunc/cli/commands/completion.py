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


@command("""
  ckfunc completion bash >> ~/.bashrc
  ckfunc completion zsh >> ~/.zshrc
  ckfunc completion fish >> ~/.config/fish/config.fish
""")
@argument("shell", kind=click.Choice(["bash", "zsh", "fish"]))
def completion(app: App, shell: str) -> None:
    """Print a script for SHELL that completes commands, options, trigger types, targets, channels and users."""
    app.output.text(completion_script(click.get_current_context().find_root().command, shell))


def completion_script(command: click.Command, shell: str) -> str:
    """Return the completion script of `command` for a shell: "bash", "zsh" or "fish"."""
    if shell == "bash":
        # It gets the line up to the cursor: bash ends words at an `@` and at other characters too.
        return (templates() / "completion.bash").read_text(encoding="utf-8")
    completion_class = get_completion_class(shell)
    assert completion_class is not None  # noqa: S101 - click knows these shells
    completer = completion_class(command, {}, "ckfunc", "_CKFUNC_COMPLETE")
    # Not source(): what is printed may be for another machine.
    script = str(completer.source_template % completer.source_vars())
    return script.replace("#compdef ckfunc\n", f"#compdef ckfunc\n{_COMPINIT}", 1) if shell == "zsh" else script
