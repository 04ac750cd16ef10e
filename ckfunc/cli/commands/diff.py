"""`ckfunc diff`: what a deploy would change."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_only, complete_types
from ckfunc.cli.options import FILE, common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc diff                         the plan for the default target
  ckfunc diff --target production     the plan for another
  ckfunc diff --exit-code             for scripts: 3 when anything differs
  ckfunc diff --json | jq .summary    the plan as data
  ckfunc diff --markdown > plan.md    the plan as a comment
  ckfunc diff --markdown --gate check,test,replay:50
                                      with a verdict: exits 1 when one does not pass
  ckfunc diff --out plan.json         keep it for `ckfunc deploy --plan plan.json`
  ckfunc diff user.sent.message@3     version 3 and the working copy
  ckfunc diff user.sent.message@3 user.sent.message
                                      version 3 and what is deployed"""
)
@click.argument("versions", metavar="[TYPE[@N]]...", nargs=-1, shell_complete=complete_types)
@click.option("--markdown", is_flag=True, help="Print the plan as Markdown, for a comment on a pull request.")
@click.option("--out", type=FILE, metavar="FILE", help="Keep the plan in a file, without secrets or sources.")
@click.option("--only", multiple=True, metavar="TYPE", shell_complete=complete_only, help="Only these, or `runtime`.")
@click.option("--gate", default="none", metavar="GATES", help="Try gates too: check, test, replay:50, or manifest.")
@click.option("--exit-code", is_flag=True, help="Exit 3 when anything differs, 0 when nothing does.")
@common_options
@pass_app
def diff(
    app: App,
    versions: tuple[str, ...],
    markdown: bool,
    out: Path | None,
    only: tuple[str, ...],
    gate: str,
    exit_code: bool,
) -> int:
    """Show what a deploy would change, with source diffs.

    Environment values are masked, except literals of functions.yaml.

    With one TYPE@N, compare that version with the working copy; with two, with each other. TYPE alone is the deployed
    version. Nothing is written anywhere.
    """
    if markdown and (versions or app.output.json):
        raise UsageProblem("--markdown is for the plan, without --json", hint="ckfunc diff --markdown")
    if versions and (out or only):
        raise UsageProblem("--out and --only are for the plan", hint="ckfunc diff --out plan.json")
    if versions:
        from ckfunc.cli.history import compare_versions

        return compare_versions(app, versions, exit_code=exit_code)
    from ckfunc.cli.deploying import show_difference

    return show_difference(app, only, out, markdown=markdown, gate=gate, exit_code=exit_code)
