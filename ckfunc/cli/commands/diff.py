"""`ckfunc diff`: what a deploy would change."""

from __future__ import annotations

import click

from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK
from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc diff                         the plan for the default target
  ckfunc diff --target production     the plan for another
  ckfunc diff --exit-code             for scripts: 3 when anything differs
  ckfunc diff --json | jq .summary    the plan as data"""
)
@click.option("--exit-code", is_flag=True, help="Exit 3 when anything differs, 0 when nothing does.")
@common_options
@pass_app
def diff(app: App, exit_code: bool) -> int:
    """Show what a deploy would change, with source diffs; environment values are masked.

    Nothing is written anywhere.
    """
    from ckfunc.cli.deploying import make_plan, show_plan

    plan = make_plan(app)
    show_plan(app.output, plan)
    return EXIT_DIFFERENCES if exit_code and not plan.is_empty else EXIT_OK
