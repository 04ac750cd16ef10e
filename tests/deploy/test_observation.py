"""Watched deploys to an emulator, with runs that tests add while the clock waits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from faults.proxy import CLIENT_ID, CLIENT_SECRET, Exchange
from faults.world import ClockWithShortWaits, World, loaded, world

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection
from ckfunc.base.secrets import Secret
from ckfunc.deploy import run
from ckfunc.deploy.apply import journal, watch_record
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.history import reverted_versions
from ckfunc.deploy.observation import (
    FunctionVerdict,
    Observation,
    WatchContext,
    WatchEnding,
    WatchState,
    open_watch,
    watch_deploy,
)
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import ENVIRONMENT
from ckfunc.emulator.store import functions, invocations
from ckfunc.logs.entries import Trouble
from ckfunc.model.application import FunctionVersion
from ckfunc.model.execution import HandlerError, Outcome
from ckfunc.model.project import WatchPolicy

SENT, READ = "user.sent.message", "user.read.message"
POLICY = WatchPolicy().with_texts("1m", "2%", 10)
FAILED = Outcome(None, HandlerError("TypeError", "this is broken", ""))


@dataclass(frozen=True)
class Wanted:
    """The content of a project: functions that return a word, and a variable."""

    word: str
    types: tuple[str, ...] = (SENT,)
    key: str | None = None

    def write(self, root: Path) -> None:
        (root / "handlers").mkdir(parents=True, exist_ok=True)
        lines = ["version: 1", "targets:", "  remote: {}", "functions:"]
        lines += [f"  {name}: {{handler: handlers/{name}.ts}}" for name in self.types]
        lines += [] if self.key is None else ["runtime:", "  environment: {KEY: '${KEY}'}"]
        (root / "functions.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
        (root / ".env").write_text(f"KEY={self.key}\n", encoding="utf-8")
        for name in self.types:
            script = f"async function handleEvent() {{ return '{self.word}'; }}\n"
            (root / f"handlers/{name}.ts").write_text(script, encoding="utf-8")


class Traffic(ClockWithShortWaits):
    """A clock that advances only during waits; each wait adds the next batch of runs."""

    def __init__(self, batches: Sequence[Callable[[], object]] = ()) -> None:
        super().__init__()
        self._start = super().now()
        self._batches = list(batches)
        self.slept_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.slept_s)

    def monotonic_s(self) -> float:
        return self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        if self._batches:
            self._batches.pop(0)()


@dataclass
class Scene:
    """A project, and the application that it is deployed to."""

    world: World
    root: Path
    former_values: dict[str, Secret] = field(default_factory=dict)

    def client(self) -> Client:
        url = self.world.proxy.url
        return Client(
            Connection(url, f"{url}/oauth/token", CLIENT_ID, Secret(CLIENT_SECRET)), clock=ClockWithShortWaits()
        )

    def deploy(self, wanted: Wanted, policy: WatchPolicy | None = POLICY) -> JournalRecord:
        """Deploy, and return the record of the deploy that is to be watched."""
        wanted.write(self.root)

        def confirm(plan: Plan) -> bool:
            values = plan.have.get(ENVIRONMENT, {})
            self.former_values = {name: value for name, value in values.items() if isinstance(value, Secret)}
            return True

        with self.client() as client:
            report = run.deploy(
                loaded(self.root),
                client,
                check=lambda *_: (),
                confirm=confirm,
                options=run.DeployOptions(allow_removals=True, watch=policy),
                clock=ClockWithShortWaits(),
            )
        assert report.ok
        found = self.to_watch()
        return found if found is not None else next(journal.records(self.root, "remote"))

    def to_watch(self) -> JournalRecord | None:
        with self.client() as client:
            client.runtime()
            return open_watch(self.root, "remote", client.identity)

    def watch(
        self,
        record: JournalRecord | None,
        clock: Traffic,
        on_watch: Callable[[object], object] = lambda _: None,
        former_values: Mapping[str, Secret] | None = None,
    ) -> Observation:
        assert record is not None
        with self.client() as client:
            client.runtime()
            target = loaded(self.root).target
            return watch_deploy(record, WatchContext(self.root, target, client, clock, on_watch, former_values))

    def runs(self, name: str, version: int, *failed: bool) -> None:
        """Add runs that have ended."""
        for failing in failed:
            self.end(self.begin(name, version), failed=failing)

    def begin(self, name: str, version: int) -> int:
        number = self.world.database.one("SELECT id FROM functions WHERE type = ?", name)
        assert number is not None
        return invocations.begin(self.world.database, number[0], version, {}).id

    def end(self, run_id: int, *, failed: bool) -> None:
        invocations.end(self.world.database, run_id, FAILED if failed else Outcome("null", None))

    def forget_runs(self) -> None:
        for table in ("invocation_details", "invocations"):
            self.world.database.execute(f"DELETE FROM {table}")

    def scripts(self, name: str = SENT) -> list[str]:
        """Return the word of each version, oldest first."""
        return [script.split("'")[1] for script in self.world.holds().scripts[name]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("observation")) as made:
        yield made


@pytest.fixture
def scene(shared: World, tmp_path: Path) -> Scene:
    """A project whose function `user.sent.message` is deployed as v1."""
    shared.reset()
    found = Scene(shared, tmp_path / "project")
    found.deploy(Wanted("old"), None)
    return found


def test_a_failing_version_is_reverted_within_seconds(scene: Scene) -> None:
    scene.runs(SENT, 1, *[False] * 30)
    record = scene.deploy(Wanted("new"))
    clock = Traffic([lambda: scene.runs(SENT, 2, *[False] * 8), lambda: scene.runs(SENT, 2, True, False, True)])
    found = scene.watch(record, clock)
    assert found.ending is WatchEnding.REVERTED
    assert found.exit_code == 1
    (runs,) = found.functions
    assert (runs.former, runs.version, runs.runs, runs.failed, runs.allowed) == (1, 2, 11, 2, 1)
    assert (len(runs.earlier), runs.earlier_failed) == (30, 0)
    assert [run.result["error"]["message"] for run in runs.first_failed] == ["this is broken"] * 2
    assert scene.scripts() == ["old", "new", "old"]
    # The clock advances only during waits, and the limit was exceeded after the second wait.
    assert clock.slept_s < 5
    assert scene.to_watch() is None


def test_a_good_version_is_watched_to_the_end_and_stays_deployed(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    clock = Traffic([lambda: scene.runs(SENT, 2, *[False] * 12, True)])
    states: list[object] = []
    found = scene.watch(record, clock, states.append)
    assert (found.ending, found.exit_code) == (WatchEnding.KEPT, 0)
    assert 60 <= clock.slept_s < 61
    last = states[-1]
    assert isinstance(last, WatchState)
    assert (last.left_s, last.functions[0].runs) == (0, 13)
    assert scene.scripts() == ["old", "new"]
    assert scene.to_watch() is None


def test_too_few_runs_are_not_enough_to_judge(scene: Scene) -> None:
    found = scene.watch(scene.deploy(Wanted("new")), Traffic([lambda: scene.runs(SENT, 2, *[True] * 9)]))
    assert (found.ending, found.exit_code) == (WatchEnding.NOT_ENOUGH_RUNS, 0)
    assert found.functions[0].verdict is FunctionVerdict.TOO_FEW_RUNS
    assert scene.scripts() == ["old", "new"]


def test_a_version_is_compared_with_recorded_and_live_runs_of_older_versions(scene: Scene) -> None:
    scene.runs(SENT, 1, *[False] * 150, *[True] * 40)  # 40 of the last 100
    unfinished = scene.begin(SENT, 1)
    record = scene.deploy(Wanted("new"))
    clock = Traffic(
        [
            lambda: scene.runs(SENT, 2, *[True, False, False] * 4),
            lambda: scene.end(unfinished, failed=True),
        ]
    )
    found = scene.watch(record, clock)
    assert found.ending is WatchEnding.KEPT
    assert (len(found.functions[0].earlier), found.functions[0].earlier_failed) == (100, 41)
    assert found.functions[0].allowed == 6  # 12 * (2 % + 41 %) = 5.16


def test_runs_of_reverted_versions_are_not_compared(scene: Scene) -> None:
    scene.runs(SENT, 1, *[False] * 60)
    scene.watch(scene.deploy(Wanted("bad")), Traffic([lambda: scene.runs(SENT, 2, *[True] * 90)]))
    scene.runs(SENT, 3, *[False] * 20)
    assert scene.scripts() == ["old", "bad", "old"]
    # The same mistake again: without the rule, 80 % would be the earlier failure rate.
    found = scene.watch(scene.deploy(Wanted("bad")), Traffic([lambda: scene.runs(SENT, 4, *[True] * 10)]))
    assert found.ending is WatchEnding.REVERTED
    assert (len(found.functions[0].earlier), found.functions[0].earlier_failed) == (80, 0)
    assert scene.scripts() == ["old", "bad", "old", "bad", "old"]


@pytest.mark.parametrize(
    ("scripts", "numbers"),
    [
        ("A", ()),
        ("AB", ()),
        ("ABA", (2,)),
        ("ABCA", (2, 3)),
        ("ABACA", (2, 4)),
        ("ABAC", (2,)),
        ("ABAB", (3,)),  # B is deployed again, so all of its runs count
        ("ABBA", (2, 3)),
        ("AAB", ()),
        ("ABC", ()),
    ],
)
def test_a_version_is_reverted_by_an_older_script(scripts: str, numbers: tuple[int, ...]) -> None:
    versions = [FunctionVersion(1, number, script) for number, script in enumerate(scripts, 1)]
    assert reverted_versions(versions[::-1]) == set(numbers)


def test_a_slow_run_counts_once_after_it_ends(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    started: list[int] = []
    clock = Traffic(
        [
            lambda: started.extend(scene.begin(SENT, 2) for _ in range(10)),
            lambda: None,
            lambda: [scene.end(invocation, failed=number < 2) for number, invocation in enumerate(started)],
        ]
    )
    found = scene.watch(record, clock)
    assert (found.ending, found.functions[0].runs, found.functions[0].failed) == (WatchEnding.REVERTED, 10, 2)


def test_one_failing_function_reverts_the_whole_deploy(scene: Scene) -> None:
    scene.deploy(Wanted("old", (SENT, READ)), None)
    record = scene.deploy(Wanted("new", (SENT, READ)))
    clock = Traffic([lambda: scene.runs(READ, 2, *[False] * 500), lambda: scene.runs(SENT, 2, *[True] * 10)])
    found = scene.watch(record, clock)
    assert found.ending is WatchEnding.REVERTED
    assert [runs.verdict.value for runs in found.functions] == ["good", "too_many_failures"]
    assert scene.scripts(SENT) == scene.scripts(READ) == ["old", "new", "old"]


def test_new_and_unchanged_functions_are_not_watched(scene: Scene) -> None:
    record = scene.deploy(Wanted("old", (SENT, READ)))
    found = scene.watch(record, Traffic([lambda: scene.runs(READ, 1, *[True] * 50)]))
    assert (found.functions, found.ending, found.exit_code) == ((), WatchEnding.NOT_ENOUGH_RUNS, 0)


def test_previous_variable_values_are_restored_unless_a_crash_lost_them(scene: Scene) -> None:
    scene.deploy(Wanted("old", key="former"), None)
    for former_values, expected, notes in ((True, "former", 0), (False, "other", 1)):
        record = scene.deploy(Wanted(f"new {expected}", key="other"))
        version = len(scene.scripts())
        clock = Traffic([lambda version=version: scene.runs(SENT, version, *[True] * 110)])  # type: ignore[misc]
        found = scene.watch(record, clock, former_values=scene.former_values if former_values else None)
        assert (found.ending, len(found.notes)) == (WatchEnding.REVERTED, notes)
        assert scene.world.holds().environment == {"KEY": expected}
        assert scene.scripts()[-1] == "old"
        scene.forget_runs()


def test_a_version_from_someone_else_is_never_replaced(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))

    def deploy_theirs() -> None:
        number = scene.world.database.one("SELECT id FROM functions WHERE type = ?", SENT)
        assert number is not None
        functions.add_version(scene.world.database, number[0], "async function handleEvent() { return 'theirs'; }")

    clock = Traffic([deploy_theirs, lambda: scene.runs(SENT, 2, *[True] * 20)])
    found = scene.watch(record, clock)
    assert (found.ending, found.exit_code) == (WatchEnding.NOT_REVERTED, 1)
    assert found.problem is not None
    assert "someone else has deployed v3" in found.problem.message
    assert scene.scripts() == ["old", "new", "theirs"]
    # Once the newer version runs, there is nothing left to judge.
    record = scene.deploy(Wanted("newer"))
    clock = Traffic([deploy_theirs, lambda: scene.runs(SENT, 5, False), lambda: scene.runs(SENT, 4, *[True] * 20)])
    found = scene.watch(record, clock)
    assert (found.ending, found.functions[0].replaced_by) == (WatchEnding.NOT_ENOUGH_RUNS, 5)
    assert scene.scripts()[-1] == "theirs"


def test_a_later_deploy_from_the_same_checkout_is_not_reverted(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    clock = Traffic(
        [lambda: scene.deploy(Wanted("old", (SENT, READ)), None), lambda: scene.runs(SENT, 2, *[True] * 20)]
    )
    found = scene.watch(record, clock)
    assert found.ending is WatchEnding.NOT_REVERTED
    assert found.problem is not None
    assert "another deploy to remote from this checkout" in found.problem.message
    assert scene.scripts() == ["old", "new", "old"]


def test_an_interrupt_does_not_revert_the_deploy_and_the_watch_can_be_resumed(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))

    def interrupt() -> None:
        raise KeyboardInterrupt

    found = scene.watch(record, Traffic([lambda: scene.runs(SENT, 2, *[True] * 5), interrupt]))
    assert (found.ending, found.exit_code) == (WatchEnding.INTERRUPTED, 130)
    assert scene.scripts() == ["old", "new"]
    continued = scene.to_watch()
    assert continued is not None and continued.watch is not None and continued.watch.until is not None
    # The runs of the first part count too.
    found = scene.watch(continued, Traffic([lambda: scene.runs(SENT, 2, *[True] * 5)]))
    assert (found.ending, found.functions[0].runs) == (WatchEnding.REVERTED, 10)


def test_temporarily_failing_requests_are_reported_and_the_watch_continues(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    news: list[object] = []

    def refuse(_exchange: Exchange) -> None:
        raise ConnectionAbortedError

    def stop() -> None:
        scene.world.proxy.before = refuse

    def start() -> None:
        scene.world.proxy.before = None
        scene.runs(SENT, 2, *[True] * 10)

    assert scene.watch(record, Traffic([stop, start]), news.append).ending is WatchEnding.REVERTED
    assert [type(event) for event in news if not isinstance(event, WatchState)] == [Trouble]


def lines_of(record: JournalRecord) -> list[dict[str, object]]:
    return [json.loads(line) for line in record.path.read_bytes().splitlines() if line]


def keep_lines(record: JournalRecord, *without: str) -> None:
    kept = [line for line in record.path.read_bytes().splitlines() if line and json.loads(line)["event"] not in without]
    record.path.write_bytes(b"\n".join(kept) + b"\n")


def test_a_watch_records_every_step_and_repeats_no_write_after_a_lost_record(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    found = scene.watch(record, Traffic([lambda: scene.runs(SENT, 2, *[True] * 10)]))
    assert found.ending is WatchEnding.REVERTED
    events = [line["event"] for line in lines_of(record)]
    assert events == ["begin", "watch", "start", "items", "end", "watching", "breach", "watched"]
    # Killed after the undo, before its end was recorded: nothing is written again.
    keep_lines(record, "watched")
    again = scene.watch(scene.to_watch(), Traffic())
    assert (again.ending, again.undone) == (WatchEnding.REVERTED, None)
    assert scene.scripts() == ["old", "new", "old"]
    # An undo by hand ends a watch in which nothing was wrong.
    keep_lines(record, "watched", "breach")
    assert scene.to_watch() is None


def test_a_breach_survives_a_crash(scene: Scene) -> None:
    record = scene.deploy(Wanted("new"))
    with record.path.open("ab") as file:
        file.write(b'{"event":"watch')  # killed while writing
    watch_record.record_breach(record.path)
    found = scene.watch(scene.to_watch(), Traffic())
    assert found.ending is WatchEnding.REVERTED
    assert scene.scripts() == ["old", "new", "old"]


@pytest.mark.slow
def test_twenty_mixes_of_traffic_and_failures_end_as_calculated(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    wrong, reverted = [], 0
    for seed in range(20):
        chance = random.Random(seed)
        version = len(scene.scripts())
        old_rate, new_rate = chance.choice((0, 0.05, 0.3)), chance.choice((0, 0.02, 0.1, 0.4))
        least, per_cent = chance.randint(5, 40), chance.choice((0, 2, 5))
        before = [chance.random() < old_rate for _ in range(chance.randrange(130))]
        after = [chance.random() < new_rate for _ in range(chance.randrange(120))]
        scene.forget_runs()
        scene.runs(SENT, version, *before)
        record = scene.deploy(Wanted(f"mix {seed}"), WatchPolicy().with_texts("1m", f"{per_cent}%", least))
        sizes = [chance.randint(1, 30) for _ in range(8)]
        batches = [after[sum(sizes[:number]) : sum(sizes[: number + 1])] for number in range(len(sizes))]

        def play(batch: Sequence[bool], version: int = version) -> None:
            scene.runs(SENT, version + 1, *batch)

        found = scene.watch(record, Traffic([lambda batch=batch, play=play: play(batch) for batch in batches]))  # type: ignore[misc]
        played, last = [event for batch in batches for event in batch], before[-100:]
        parts = len(last) or 1
        breach = any(
            sum(played[:count]) > -(-count * (per_cent * parts + 100 * sum(last)) // (100 * parts))
            for count in range(least, len(played) + 1)
        )
        expected = "reverted" if breach else "kept" if len(played) >= least else "not_enough_runs"
        deployed = scene.scripts()[-1]
        if found.ending.value != expected or (deployed == f"mix {seed}") is breach:
            wrong.append((seed, expected, found.ending.value, deployed))
        reverted += breach
    record_property("mixes reverted", reverted)
    assert wrong == []
    assert 0 < reverted < 20
