"""Rendered templates, and sample events."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import templates
from ckfunc.base.text import did_you_mean
from ckfunc.model.job import Seed
from ckfunc.model.triggers import BY_TYPE, Trigger
from ckfunc.wire.jobs import read_seed

if TYPE_CHECKING:
    import jinja2


def render(template: str, /, **values: object) -> str:
    """Render `template`, a path below the templates without `.j2`.

    A missing name in `values` is a bug (jinja2.UndefinedError).
    """
    return _environment().get_template(f"{template}.j2").render(**values)


def sample_text(trigger_type: str) -> str:
    """Return a sample event of this type as formatted JSON. Raises UsageProblem for an unknown type.

    The fields of call events are not documented, so their samples are a guess.
    """
    trigger = known_trigger(trigger_type)
    return (templates() / "events" / f"{trigger.type}.json").read_text(encoding="utf-8")


def sample_event(trigger_type: str) -> dict[str, Any]:
    """Return a new sample event of this type. Raises UsageProblem for an unknown type."""
    event: dict[str, Any] = json.loads(sample_text(trigger_type))
    return event


def sample_seed() -> Seed:
    """Return a seed for a new emulator that contains the rows to which the samples refer by id.

    User 1 is Jane and 2 is John, both in the public channel 1, in which Jane sent message 1.
    """
    return read_seed(json.loads((templates() / "seeds" / "sample.json").read_text(encoding="utf-8")))


def known_trigger(trigger_type: str) -> Trigger:
    """Return the trigger of this type. Raises UsageProblem, with the nearest known type as a hint."""
    if trigger := BY_TYPE.get(trigger_type):
        return trigger
    hint = did_you_mean(trigger_type, BY_TYPE) or f"known types: {', '.join(sorted(BY_TYPE))}"
    raise UsageProblem(f"{trigger_type!r} is not a trigger type that ckfunc knows", hint=hint)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # here, because only commands that write files need it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is TypeScript, YAML and JSON, never HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
