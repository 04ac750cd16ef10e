"""What an event of each trigger type looks like: one whole sample of each, and the people and channel that it names."""

from __future__ import annotations

import json
from typing import Any

from ckfunc.model.job import Seed
from ckfunc.scaffold import locate
from ckfunc.scaffold.handler import known_trigger
from ckfunc.wire.seeds import read_seed


def sample_text(trigger_type: str) -> str:
    """Return a sample event of this type as JSON text for people. Raises UsageProblem for a type that is not known.

    What calls carry is not documented: their samples are a guess.
    """
    trigger = known_trigger(trigger_type)
    return (locate.templates() / "events" / f"{trigger.type}.json").read_text(encoding="utf-8")


def sample_event(trigger_type: str) -> dict[str, Any]:
    """Return a sample event of this type, a new one each time. Raises UsageProblem for a type that is not known."""
    event: dict[str, Any] = json.loads(sample_text(trigger_type))
    return event


def sample_seed() -> Seed:
    """Return what a new emulator needs so that every id in the samples names what the samples say it does.

    User 1 is Jane and 2 is John, both in the public channel 1, where Jane wrote message 1.
    """
    return read_seed(json.loads((locate.templates() / "seeds" / "sample.json").read_text(encoding="utf-8")))
