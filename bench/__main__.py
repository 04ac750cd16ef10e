"""`python -m bench [MEASUREMENT...]`: measure ckfunc and print one table."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence

from bench import (
    calls,
    chat,
    check,
    invoke,
    lock,
    memory,
    messages,
    noop_deploy,
    pages,
    reads,
    replay,
    save,
    start,
    tail,
    test,
    version,
    waits,
)
from bench.harness import SCRATCH, Figure, table, talk
from bench.subjects import Ckfunc, Subject

MEASURES: dict[str, Callable[[Sequence[Subject]], list[Figure]]] = {
    "version": version.measure,
    "noop-deploy": noop_deploy.measure,
    "check": check.measure,
    "lock": lock.measure,
    "test": test.measure,
    "invoke": invoke.measure,
    "save": save.measure,
    "start": start.measure,
    "calls": calls.measure,
    "reads": reads.measure,
    "messages": messages.measure,
    "chat": chat.measure,
    "tail": tail.measure,
    "pages": pages.measure,
    "replay": replay.measure,
    "memory": memory.measure,
    "waits": waits.measure,
}


def main() -> None:
    """Run the named measurements, or all."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure ckfunc and print one table.")
    parser.add_argument("names", nargs="*", metavar="MEASUREMENT", help=f"some of {', '.join(MEASURES)}; default: all")
    names = parser.parse_args().names or list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    home = SCRATCH / "project"
    shutil.rmtree(home, ignore_errors=True)
    subject = Ckfunc(home)
    talk("preparing the project")
    subject.prepare()
    figures: list[Figure] = []
    for name in names:
        talk(f"measuring {name}")
        figures += MEASURES[name]([subject])
    print(table(figures))


if __name__ == "__main__":
    main()
