"""Every fault at every request of a deploy: at most one more deploy completes it, without duplicates."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from faults.processes import run
from faults.proxy import FAULTS, End, Fault
from faults.verification import mismatches
from faults.world import ALLOWED, OLD, SCENES, Content, World, loaded, moved, wanted

from ckfunc.model.project import Project

NEW = wanted()
SILENCE_S = 0.2


def once(world: World, scene: Content, project: Project, *faults: tuple[Fault, str]) -> tuple[list[str], bool]:
    """Return the problems of one case, and whether the deploy with the faults succeeded by itself.

    Each fault is injected into the request with its label.
    """
    world.reset(scene)
    root = world.project(NEW)
    for fault, label in faults:
        world.proxy.inject(fault, label)
    silent = any(fault.end is End.HOLD for fault, _ in faults)
    first = world.deploy(moved(project, root), timeout_s=SILENCE_S if silent else 20.0)
    after = world.holds()
    wrong = mismatches(first, scene, after, NEW)
    world.proxy.forget()
    second = world.deploy(moved(project, root))
    wrong += [f"then: {mismatch}" for mismatch in mismatches(second, after, world.holds(), NEW)]
    if second.code != 0:
        said = (
            second.error or [(item.name, item.note) for item in second.report.items if item.note]
            if second.report
            else ""
        )
        wrong.append(f"the deploy after it exited {second.code}: {said}")
    if first.code == 0 and world.proxy.writes():
        wrong.append(f"the deploy after it wrote, though nothing was left to do: {world.proxy.labels()}")
    once_more = {name: (*scene.scripts.get(name, ()), *NEW.scripts[name]) for name in NEW.scripts}
    if world.holds().scripts != once_more:
        counts = {name: len(those) for name, those in world.holds().scripts.items()}
        wrong.append(f"not exactly one new version of each function: {counts}")
    world.remove(root)
    return wrong, first.code == 0


@pytest.fixture(scope="module")
def project(shared: World) -> Project:
    return loaded(shared.project(NEW))


@pytest.mark.parametrize(
    ("fault", "scene", "step"),
    [
        pytest.param(fault, scene, step, id=f"{fault.name}, {scene}, at one request in {step}", marks=marks)
        for number, fault in enumerate(FAULTS)
        for scene, step, marks in (
            (list(SCENES)[number % len(SCENES)], 6, pytest.mark.slow if number % 2 else ()),
            *((scene, 1, pytest.mark.slow) for scene in SCENES),
        )
    ],
)
def test_a_deploy_recovers_from_a_fault_at_any_request_and_reports_accurately(
    shared: World, project: Project, scene: str, fault: Fault, step: int, record_property: Callable[[str, object], None]
) -> None:
    shared.reset(SCENES[scene])
    root = shared.project(NEW)
    assert shared.deploy(moved(project, root)).code == 0
    labels = shared.proxy.labels()
    shared.remove(root)
    assert len(labels) >= 18
    # Different requests for different faults, so that each request gets some fault.
    labels = labels[(FAULTS.index(fault) + list(SCENES).index(scene)) % step :: step]
    wrong, healed = [], 0
    for label in labels:
        found, alone = once(shared, SCENES[scene], project, (fault, label))
        wrong += [f"{label}: {mismatch}" for mismatch in found]
        healed += alone
    record_property("fault cases", len(labels))
    record_property("fault cases that needed no second deploy", healed)
    assert wrong == []


@pytest.mark.parametrize("cases", [5, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scene", SCENES)
def test_a_deploy_recovers_from_several_faults_and_reports_accurately(
    shared: World, project: Project, scene: str, cases: int, record_property: Callable[[str, object], None]
) -> None:
    chances = random.Random(scene)
    shared.reset(SCENES[scene])
    root = shared.project(NEW)
    assert shared.deploy(moved(project, root)).code == 0
    # Later repetitions of requests get faults too.
    labels = shared.proxy.labels()
    labels += [f"{label.partition('#')[0]}#{number}" for label in labels[1:] for number in (2, 3, 4)]
    shared.remove(root)
    wrong = []
    for _ in range(cases):
        faults = [(chances.choice(FAULTS), chances.choice(labels)) for _ in range(chances.choice((2, 3, 5, 8)))]
        found, _ = once(shared, SCENES[scene], project, *faults)
        wrong += [f"{[(fault.name, label) for fault, label in faults]}: {mismatch}" for mismatch in found]
    record_property("cases of several faults", cases)
    assert wrong == []


# The fault without a response is excluded, because a real process waits half a minute for it.
SAMPLE = [fault for fault in FAULTS if fault.end is not End.HOLD]
LABELS = (
    "POST /v1/functions/{id}/versions#1",
    "PUT /v1/runtimes/nodejs/environment-variables#1",
    "POST /oauth/token#1",
)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.slow
def test_separate_processes_recover_from_faults_and_report_accurately(shared: World, part: int) -> None:
    wrong = []
    for number, fault in list(enumerate(SAMPLE))[part::2]:
        label = LABELS[number % 3]
        shared.reset(OLD)
        root = shared.project(NEW)
        shared.proxy.inject(fault, label)
        first = run(root, shared.environ(), "deploy", *ALLOWED, "--json")
        matched = shared.holds().runs(NEW)
        if first.code == 0 and not (matched and json.loads(first.out)["ok"]):
            wrong.append(f"{fault.name} at {label}: exit 0, but {shared.holds()}")
        second = run(root, shared.environ(), "deploy", *ALLOWED)
        once_more = {name: (*OLD.scripts[name], *NEW.scripts[name]) for name in NEW.scripts}
        if second.code != 0 or not shared.holds().runs(NEW) or shared.holds().scripts != once_more:
            wrong.append(f"{fault.name} at {label}, then: {second} {shared.holds()}")
        if "Traceback" in first.err + second.err:
            wrong.append(f"{fault.name} at {label}: {first.err}{second.err}")
    assert wrong == []
