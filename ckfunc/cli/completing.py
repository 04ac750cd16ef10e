"""What a shell offers for trigger types and targets: those of the project, without a request and without a failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from ckfunc.cli.context import App


def complete_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the trigger types that begin with `incomplete`: those of the manifest, else all that ckfunc knows."""
    return _beginning(_manifest_types(_app(ctx)) or _known_types(), incomplete)


def complete_known_types(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the trigger types that ckfunc knows and the manifest does not have yet."""
    there = set(_manifest_types(_app(ctx)))
    return _beginning((one for one in _known_types() if one not in there), incomplete)


def complete_only(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return what `--only` takes: trigger types and `runtime`."""
    return [*complete_types(ctx, param, incomplete), *_beginning(["runtime"], incomplete)]


def complete_data(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the files that begin with what follows an `@`, each with its `@`; directories end with a slash."""
    if not incomplete.startswith("@"):
        return []
    head, slash, tail = incomplete[1:].rpartition("/")
    found = _files(f"{head}{slash}", tail)
    if len(found) == 1 and found[0].endswith("/"):
        found += _files(found[0], "")  # otherwise the shell ends the word after the directory
    return [f"@{one}" for one in found]


def _files(directory: str, beginning: str) -> list[str]:
    import os

    try:
        with os.scandir(directory or ".") as entries:
            names = [f"{one.name}/" if one.is_dir() else one.name for one in entries]
    except OSError:
        return []
    hidden = beginning.startswith(".")
    # Shells would split a name with white space.
    fitting = [one for one in names if one.startswith(beginning) and (hidden or one[:1] != ".") and not one.split()[1:]]
    return sorted(f"{directory}{one}" for one in fitting)


def complete_commands(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin with `incomplete`, or those of the command that was named before it."""
    from ckfunc.cli.usage import commands_of

    return _beginning(commands_of(ctx.find_root(), ctx.params.get("names") or ()), incomplete)


def complete_targets(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the targets of the manifest that begin with `incomplete`."""
    from ckfunc.base.errors import CkfuncError
    from ckfunc.manifest import targets

    app = _app(ctx)
    try:
        return _beginning(targets(app.root()) if app else (), incomplete)
    except CkfuncError:
        return []


def _app(ctx: click.Context) -> App | None:
    app: App | None = ctx.find_root().obj
    return app


def _known_types() -> list[str]:
    from ckfunc.model.triggers import TRIGGERS

    return [one.type for one in TRIGGERS]


def _manifest_types(app: App | None) -> tuple[str, ...]:
    from ckfunc.base.errors import CkfuncError
    from ckfunc.manifest import function_types

    try:
        return function_types(app.root()) if app else ()
    except CkfuncError:
        return ()


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [one for one in names if one.startswith(incomplete)]


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


def read_bash_line() -> None:
    """Set the words of the line that bash completes, as click reads them from the environment."""
    import os

    from click.shell_completion import split_arg_string

    line = os.environ.get("COMP_LINE")
    if line is not None and os.environ.get("_CKFUNC_COMPLETE") == "bash_complete":
        words = split_arg_string(line)
        if not line or line[-1:].isspace():
            words.append("")
        import shlex

        os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(words), str(len(words) - 1)


def completion_script(command: click.Command, shell: str) -> str:
    """Return what a shell ("bash", "zsh" or "fish") must read in order to complete `command`."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click knows these three, and the command takes no other
    completer = made(command, {}, "ckfunc", "_CKFUNC_COMPLETE")
    if shell == "bash":
        return _BASH
    # Not source(): what is printed may be for another machine.
    script = str(completer.source_template % completer.source_vars())
    return script.replace("#compdef ckfunc\n", f"#compdef ckfunc\n{_COMPINIT}", 1) if shell == "zsh" else script
