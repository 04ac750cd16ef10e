"""`ckfunc completion`: generate shell completions."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ckfunc.cli.app import App
from ckfunc.cli.options import argument, command

# A line up to the cursor, as bash has it: its own words end at an `@` and at other characters too.
_BASH = """\
_ckfunc_completion() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}" one typed
    COMPREPLY=()
    for one in $(env COMP_LINE="$line" COMP_WORDS= COMP_CWORD=0 _CKFUNC_COMPLETE=bash_complete "$1"); do
        COMPREPLY+=("${one#*,}")
    done
    typed="${line##*[[:space:]]}"
    case "$typed" in
        *[@=:]*)
            # Bash replaces only what follows the last of these.
            typed="${typed%"${typed##*[@=:]}"}"
            case "$typed" in *=*) typed="${typed##*=}" ;; esac
            COMPREPLY=("${COMPREPLY[@]#"$typed"}")
            ;;
    esac
}
complete -o nosort -F _ckfunc_completion ckfunc 2>/dev/null || complete -F _ckfunc_completion ckfunc
"""
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
    completion_class = get_completion_class(shell)
    assert completion_class is not None  # noqa: S101 - click knows these three, and the command takes no other
    completer = completion_class(command, {}, "ckfunc", "_CKFUNC_COMPLETE")
    if shell == "bash":
        return _BASH
    # Not source(): what is printed may be for another machine.
    script = str(completer.source_template % completer.source_vars())
    return script.replace("#compdef ckfunc\n", f"#compdef ckfunc\n{_COMPINIT}", 1) if shell == "zsh" else script
