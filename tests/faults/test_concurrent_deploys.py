"""Ten concurrent deploys of two contents: one content wins completely, the other deploys report a conflict."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass

import pytest
from faults.processes import LONGEST_S, Ran, finish, start
from faults.proxy import Exchange, Proxy
from faults.world import ALLOWED, SCENES, TYPES, Content, World, wanted

MANY = 10
CONFLICT = re.compile(r"someone else|another ckfunc", re.IGNORECASE)
FIRST, LAST = SCENES
CONTENTS = {"ours": wanted("ours"), "theirs": wanted("theirs")}


class Barrier:
    """Delays the first write until every running process has read the state for its plan."""

    def __init__(self, proxy: Proxy) -> None:
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._reads: Counter[str] = Counter()
        proxy.before, proxy.after = self._before, self._after

    def lift_when_planned(self, processes: list[subprocess.Popen[str]]) -> int:
        """Wait until each process has planned, or ended; return how many have planned."""
        clock = threading.Event()
        for _ in range(int(LONGEST_S / 0.02)):
            if self.planned() >= len(processes) or all(process.poll() is not None for process in processes):
                break
            clock.wait(0.02)
        planned = self.planned()
        self._open.set()
        return planned

    def planned(self) -> int:
        """Return how many processes have read the runtime and the functions."""
        with self._lock:
            return sum(count >= 2 for count in self._reads.values())

    def _before(self, exchange: Exchange) -> None:
        if exchange.is_write:
            self._open.wait(LONGEST_S)

    def _after(self, exchange: Exchange) -> None:
        if exchange.method == "GET" and "/runtimes/nodejs" in exchange.path:
            with self._lock:
                self._reads[exchange.token] += 1


@dataclass(frozen=True)
class Race:
    """The results of ten deploys by content, and the number of plans before the first write."""

    ended: dict[str, list[Ran]]
    planned: int

    def codes(self, name: str) -> list[int]:
        return [ran.code for ran in self.ended[name]]

    def losers(self, winner: str) -> list[Ran]:
        return [ran for name, those in self.ended.items() if name != winner for ran in those]


def race(world: World, *, machines: int) -> Race:
    """Run ten deploys of the two contents in turn, on one machine or on ten: each with its own checkout and cache."""
    barrier = Barrier(world.proxy)
    names = [list(CONTENTS)[number % 2] for number in range(MANY)]
    shared = {name: world.project(content) for name, content in CONTENTS.items()}
    roots = [shared[name] if machines == 1 else world.project(CONTENTS[name]) for name in names]
    homes = [world.directory / f"home-{number % machines}" for number in range(MANY)]
    processes = [start(root, world.environ(home), "deploy", *ALLOWED) for root, home in zip(roots, homes, strict=True)]
    planned = barrier.lift_when_planned(processes)
    ended: dict[str, list[Ran]] = {name: [] for name in CONTENTS}
    for name, process in zip(names, processes, strict=True):
        ended[name].append(finish(process))
    return Race(ended, planned)


def the_winner(holds: Content) -> str:
    """Return the name of the content that the application has completely."""
    (winner,) = [name for name, content in CONTENTS.items() if holds.runs(content)] or [f"a mixture: {holds}"]
    assert winner in CONTENTS, winner
    return winner


@pytest.mark.parametrize("scene", [FIRST, LAST])
@pytest.mark.slow
def test_one_of_ten_concurrent_deploys_on_one_machine_wins(here: World, scene: str) -> None:
    here.reset(SCENES[scene])
    seen = race(here, machines=1)
    assert seen.planned == MANY
    holds = here.holds()
    winner = the_winner(holds)
    before = SCENES[scene].scripts
    assert holds.scripts == {name: (*before.get(name, ()), *CONTENTS[winner].scripts[name]) for name in holds.scripts}
    assert 0 in seen.codes(winner)
    # Deploys of the winning content may find nothing left to do.
    assert set(seen.codes(winner)) <= {0, 1}
    for ran in seen.losers(winner):
        assert ran.code == 1, ran
        assert CONFLICT.search(ran.err + ran.out), ran
    for ran in seen.ended[winner]:
        assert ran.code == 0 or CONFLICT.search(ran.err + ran.out), ran


@pytest.mark.parametrize("scene", [FIRST, LAST])
@pytest.mark.slow
def test_one_of_two_contents_wins_completely_in_ten_concurrent_deploys(here: World, scene: str) -> None:
    here.reset(SCENES[scene])
    seen = race(here, machines=MANY)
    assert seen.planned == MANY
    holds = here.holds()
    winner = the_winner(holds)
    for ran in seen.losers(winner):
        assert ran.code == 1, ran
        assert CONFLICT.search(ran.err + ran.out), ran
    # Without a lock, the first function decides the winner; only there do other deploys leave versions.
    before = SCENES[scene].scripts
    for name in TYPES[1:]:
        assert holds.scripts[name] == (*before.get(name, ()), *CONTENTS[winner].scripts[name])
