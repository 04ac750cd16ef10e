"""Verdicts of a replay: differences and noise."""

from __future__ import annotations

from typing import Any

import pytest
from replay.lanes import Handler, World, opening, recorded, replayed

from ckfunc.replay.report import Replay, place, summary
from ckfunc.replay.run import replay
from ckfunc.replay.verdict import ReplayVerdict, fits, form, template


def differences(found: Replay) -> set[tuple[str, Any, Any]]:
    return {(place(change.path), change.before, change.after) for row in found.compared for change in row.changes}


def places(found: Replay) -> set[str]:
    return {place(change.pattern) for row in found.compared for change in row.changes}


def determinism(event: Any, world: World) -> Any:
    world.call("POST", f"/channels/{event['n']}/messages", {"body": f"Hello {event['n']}"})
    return {"n": event["n"], "list": [1, 2, {"a": None}]}


def timely(event: Any, world: World) -> Any:
    identity = "".join(world.random.choices("abcdef0123456789", k=16))
    world.call("POST", f"/channels/{event['n']}/messages", {"body": f"It is {world.now_ms}", "key": identity})
    world.call("GET", f"/users/{identity}?since={world.now_ms}")
    if world.random.random() < 0.5:
        raise ValueError(f"no luck at {world.now_ms}")
    return {"at": world.now_ms, "lucky": world.random.random() < 0.1, "id": identity, "n": event["n"]}


def wild(event: Any, world: World) -> Any:
    """Behave nondeterministically; most values differ only rarely."""
    order = [("GET", "/users/1"), ("GET", "/channels/1")]
    if world.wild.random() < 0.3:
        order.reverse()
    for method, path in order:
        world.call(method, path)
    found = {"n": event["n"], "ms": int(world.wild.random() * 3), "slow": world.wild.random() < 0.3}
    if world.wild.random() < 0.3:
        found["warning"] = "slow"
    return found | {"id": f"id-{world.wild.random()}", "greeting": world.wild.choice(["Hello", "Hi", "Hey there"])}


@pytest.mark.parametrize("handler", [determinism, timely])
def test_an_unchanged_handler_has_no_differences(handler: Handler) -> None:
    found = replayed(handler, handler, 200)
    assert found.ok
    assert found.count(ReplayVerdict.EQUAL) + found.count(ReplayVerdict.FAILED_BOTH) == 200


@pytest.mark.parametrize("wild_seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
def test_an_unchanged_handler_with_uncontrolled_noise_has_no_differences(wild_seed: int) -> None:
    found = replay(recorded(200), opening(wild, wild, wild_seed), jobs=2)
    assert found.ok, differences(found)
    assert found.count(ReplayVerdict.NOISY) > 100


def test_a_changed_result_is_a_difference_at_its_path() -> None:
    found = replayed(determinism, lambda event, world: {**determinism(event, world), "n": -1}, 3)
    assert found.count(ReplayVerdict.DIFFERENT) == 3
    assert differences(found) == {("result.n", number, -1) for number in (1, 2, 3)}


def test_noise_in_an_array_does_not_hide_differences_in_an_object() -> None:
    def made(event: Any, world: World) -> Any:
        return [world.random.random()] * event["n"] if event["n"] % 2 else {"n": event["n"], "at": world.now_ms}

    def other(event: Any, world: World) -> Any:
        found = made(event, world)
        return {**found, "n": -1} if isinstance(found, dict) else found[:-1] or [0.5]

    found = replayed(made, other, 6)
    assert places(found) == {"result.n", "result[*]"}
    assert {row.row.id for row in found.compared if row.verdict is ReplayVerdict.DIFFERENT} == {2, 3, 4, 5, 6}


def test_a_constant_key_next_to_random_keys_is_compared() -> None:
    def made(_event: Any, world: World) -> Any:
        return {f"k-{world.random.random()}": 1, "total": 5}

    def other(event: Any, world: World) -> Any:
        return {**made(event, world), "total": 6}

    found = replayed(made, other, 3)
    assert differences(found) == {("result.total", 5, 6)}
    assert replayed(made, lambda event, world: {f"k-{world.random.random() + 1}": 1, "total": 5}, 3).ok


def test_changed_types_keys_and_lengths_are_differences() -> None:
    def other(event: Any, world: World) -> Any:
        determinism(event, world)
        return {"n": str(event["n"]), "list": [1, {"a": None}], "more": None}

    found = replayed(determinism, other, 1)
    assert places(found) == {"result.n", "result.list[*]", "result.more"}


def test_a_newly_thrown_error_is_a_difference_of_status_and_error() -> None:
    def throws(event: Any, world: World) -> Any:
        determinism(event, world)
        if event["n"] == 3:
            raise KeyError("x")
        return determinism(event, World(0, world.random, world.wild))

    found = replayed(determinism, throws, 5)
    assert [compared.row.id for compared in found.different] == [3]
    assert places(found) == {"status", "result", "error"}


def test_equal_failures_are_counted_separately_and_other_failures_are_differences() -> None:
    def fails(event: Any, world: World) -> Any:
        raise ValueError("a")

    def otherwise(event: Any, world: World) -> Any:
        raise ValueError("b" if event["n"] == 1 else "a")

    found = replayed(fails, otherwise, 3)
    assert summary(found) == "3 replayed, 0 equal, 1 different, 2 failed on both sides"
    assert differences(found) == {("error.message", "a", "b")}


def test_added_removed_and_changed_calls_are_differences() -> None:
    def other(event: Any, world: World) -> Any:
        world.call("POST", f"/channels/{event['n']}/messages", {"body": "Bye"})
        world.call("DELETE", "/users/1")
        return {"n": event["n"], "list": [1, 2, {"a": None}]}

    found = replayed(determinism, other, 2)
    assert places(found) == {"calls[POST /channels/*/messages].body.body", "calls[DELETE /users/*]"}
    assert places(replayed(other, determinism, 2)) == places(found)


def test_a_changed_order_of_calls_is_a_difference_if_the_order_is_constant() -> None:
    def first(event: Any, world: World) -> Any:
        world.call("DELETE", "/users/1")
        world.call("POST", "/users", {"name": "x"})

    def second(event: Any, world: World) -> Any:
        world.call("POST", "/users", {"name": "x"})
        world.call("DELETE", "/users/1")

    assert places(replayed(first, second, 2)) == {"calls.order"}


@pytest.mark.parametrize("base", [timely, wild])
def test_regressions_are_found_despite_noise(base: Handler) -> None:
    def extra(event: Any, world: World) -> Any:
        world.call("PATCH", "/users/1", {"properties": {}})
        return base(event, world)

    def changed(event: Any, world: World) -> Any:
        return {**base(event, world), "n": 0}

    def typed(event: Any, world: World) -> Any:
        found = base(event, world)
        return {name: str(value) if name in ("at", "ms") else value for name, value in found.items()}

    def absent(event: Any, world: World) -> Any:
        return {name: value for name, value in base(event, world).items() if name != "id"}

    def throws(event: Any, world: World) -> Any:
        base(event, world)
        raise TypeError("cannot read properties of undefined")

    for planted, where in ((extra, "calls[PATCH /users/*]"), (changed, "result.n"), (absent, "result.id")):
        assert where in places(replayed(base, planted)), (planted, where)
    assert {"result.at", "result.ms"} & places(replayed(base, typed))
    assert "error" in {place.split(".")[0] for place in places(replayed(base, throws))}


def test_the_constant_part_of_a_text_with_a_time_is_compared() -> None:
    def other(event: Any, world: World) -> Any:
        world.call("POST", "/channels/1/messages", {"body": f"Now it is {world.now_ms}"})

    def before(event: Any, world: World) -> Any:
        world.call("POST", "/channels/1/messages", {"body": f"It is {world.now_ms}"})

    assert places(replayed(before, other, 2)) == {"calls[POST /channels/*/messages].body.body"}


def test_random_values_used_in_another_order_are_noise() -> None:
    def before(event: Any, world: World) -> Any:
        first, second = world.random.random(), world.random.random()
        return {"a": f"a-{first}", "b": second < 0.5, "items": [{"id": world.random.random()} for _ in range(3)]}

    def after(event: Any, world: World) -> Any:
        items = [{"id": world.random.random()} for _ in range(3)]
        first, second = world.random.random(), world.random.random()
        return {"a": f"a-{first}", "b": second < 0.5, "items": items}

    found = replayed(before, after, 100)
    assert found.ok, differences(found)
    assert found.count(ReplayVerdict.NOISY) == 100


def test_random_keys_are_noise() -> None:
    def handler(event: Any, world: World) -> Any:
        return {"tokens": {f"t{world.wild.random()}": 1}, "uuids": {str(world.wild.getrandbits(60)): True}}

    found = replayed(handler, handler, 10)
    assert found.count(ReplayVerdict.NOISY) == 10


def test_only_invocations_with_different_results_are_run_again() -> None:
    lanes = []

    def counting(event: Any, world: World) -> Any:
        lanes.append("deployed")
        return event["n"]

    def working(event: Any, world: World) -> Any:
        lanes.append("working")
        return event["n"] if event["n"] < 3 else -1

    replayed(counting, working, 3)
    assert (lanes.count("deployed"), lanes.count("working")) == (3 + 3, 3 + 3)


def test_a_working_copy_that_keeps_timing_out_is_no_longer_run_again() -> None:
    runs = []

    class TimeLimitError(Exception):
        """An error with the name of the runtime's."""

    def endless(event: Any, world: World) -> Any:
        runs.append(event["n"])
        raise TimeLimitError("the handler did not finish within 10 s")

    found = replayed(determinism, endless, 6)
    assert found.count(ReplayVerdict.DIFFERENT) == 6
    assert runs == [1, 1, 2, 2, 3, 3, 4, 5, 6]


def test_results_equal_to_the_recorded_ones_are_counted() -> None:
    found = replayed(lambda event, world: None, lambda event, world: None, 4)
    assert found.as_recorded == 4
    assert replayed(determinism, determinism, 4).as_recorded == 0


def test_an_empty_replay_has_no_differences() -> None:
    found = replay([], opening(determinism, determinism))
    assert found.ok
    assert summary(found) == "nothing recorded to replay"


@pytest.mark.parametrize(
    ("texts", "like", "unlike"),
    [
        (["Hello at 12:00", "Hello at 13:01"], ["Hello at 9:59"], ["Hi at 12:00", "Hello there at 12:00", "Hello at"]),
        (["a-1", "a-22"], ["a-3", "a-x"], ["b-1", "a"]),
        (["x", "y"], ["anything at all", ""], []),
        (["[1] one", "[2] two"], ["[3] three"], ["3 three", "[3]"]),
        (["at 2024-05-01T10:00:00.000Z, ok", "at 2024-05-01T10:01:01.001Z, ok"], ["at 2031-01-01T00:00Z, ok"], ["ok"]),
        (["same", "same"], ["same"], ["other"]),
    ],
)
def test_a_template_matches_texts_with_the_same_constant_parts(
    texts: list[str], like: list[str], unlike: list[str]
) -> None:
    made = template(texts)
    assert all(fits(made, text) for text in [*texts, *like])
    assert not any(fits(made, text) for text in unlike)


def test_very_long_texts_have_no_template() -> None:
    assert template(["a" * 6_000, "b"]) is None
    assert fits(None, "c")


def test_times_and_uuids_are_recognized() -> None:
    assert form("2024-05-01T10:00:00Z") == "time"
    assert form("c2d7b2a4-24fc-4d0f-b4a3-6d9e1b7a7d10") == "uuid"
    assert form("now") is None
