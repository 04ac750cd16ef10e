"""Deploys killed after any write: a resume or a new deploy completes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.processes import Killer, run, start
from faults.world import ALLOWED, SCENES, World, loaded, wanted

NEW = wanted()


def once(world: World, scene: str, number: int, *, unanswered: bool, resumes: bool) -> list[str]:
    """Return the problems after a kill at write `number`."""
    world.reset(SCENES[scene])
    root, environ = world.project(NEW), world.environ()
    killer = Killer(world.proxy, number, unanswered=unanswered)
    if not killer.kill(start(root, environ, "deploy", *ALLOWED)):
        return ["it ended before it could be killed"]
    killed = world.holds()
    world.proxy.forget()
    ran = run(root, environ, "deploy", *ALLOWED, *(["--resume"] if resumes else []))
    wrong = []
    if ran.code != 0:
        wrong.append(f"exit {ran.code}: {ran.err}{ran.out}")
    holds = world.holds()
    if not holds.runs(NEW):
        wrong.append(f"the application is not what the manifest says; after the kill it was {killed}")
    before = SCENES[scene].scripts
    if holds.scripts != {name: (*before.get(name, ()), *NEW.scripts[name]) for name in NEW.scripts}:
        wrong.append(f"not one new version each: { {name: len(those) for name, those in holds.scripts.items()} }")
    world.remove(root)
    return wrong


@pytest.mark.parametrize(
    ("scene", "unanswered"),
    [
        pytest.param(scene, unanswered, id=f"{scene}, {'before' if unanswered else 'after'} the response")
        for scene in SCENES
        for unanswered in (False, True)
    ],
)
@pytest.mark.slow
def test_a_deploy_killed_after_any_write_is_completed_by_the_next_deploy(
    shared: World, scene: str, unanswered: bool, record_property: Callable[[str, object], None]
) -> None:
    shared.reset(SCENES[scene])
    root = shared.project(NEW)
    assert shared.deploy(loaded(root)).code == 0
    writes = len(shared.proxy.writes())
    shared.remove(root)
    wrong = []
    for number in range(1, writes + 1):
        resumes = (number + unanswered) % 2 == 0
        found = once(shared, scene, number, unanswered=unanswered, resumes=resumes)
        wrong += [f"write {number}, then {'resumed' if resumes else 'afresh'}: {mismatch}" for mismatch in found]
    record_property("deploys killed", writes)
    assert wrong == []
