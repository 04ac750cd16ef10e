"""`ckfunc completion`: what makes a shell complete commands, trigger types and targets."""

from __future__ import annotations

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc completion bash >> ~/.bashrc
  ckfunc completion zsh >> ~/.zshrc
  mkdir -p ~/.config/fish/completions
  ckfunc completion fish > ~/.config/fish/completions/ckfunc.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
@pass_app
def completion(app: App, shell: str) -> None:
    """Print a script for SHELL that completes commands, options, trigger types and targets."""
    from ckfunc.cli.completing import completion_script

    app.output.text(completion_script(click.get_current_context().find_root().command, shell))
