"""Which operation works through which client: the table in docs/conformance.md, made from a run of all of them.

`PYTHONPATH=tests python -m conformance.table` writes it anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from conformance.clients import CLIENTS, Report, report, verdicts
from conformance.judging import OPERATIONS
from conformance.world import inhabited

from ckfunc.base.files import write_atomically

FILE = Path(__file__).parent.parent.parent / "docs" / "conformance.md"

HEAD = """\
# Conformance

The vendor's own clients, unmodified, call a running emulator in the tests (`tests/conformance/`). Every method is
called with real arguments, and every answer is compared with the
[schemas](../ckfunc/wire/contract/schemas.json): each field known, of its type and in the client's spelling, none
that is required missing, every link where it belongs.

**pass**: the answer is right. **pass***: it is, but the client can make the call, or take the answer, only in a
roundabout way, for a reason of its own that is given below. **fail**: it is not right. –: the client has no such
method.

Made by `PYTHONPATH=tests .venv/bin/python -m conformance.table`; a test compares it with a run.

"""

NOTES = """
## What clients cannot do of their own

- `chatkitty-platform-sdk` 2.4.0: its class `ChatKitty` lacks chat sessions and user sessions, which the package has.
  From Node it sends a file only with a `Configuration` whose `formDataCtor` is the class of the npm package
  `form-data`, and without the boundary of the form, which the caller must set in a header.
- `chatkitty-server-side-sdk` 1.0.0 has no part that signs in. `openapi_client.models` cannot be imported: one of its
  modules has a syntax error. Imports are sent as the text of Python objects, which is no JSON. A call with * is made
  with `ApiClient.call_api`, which takes plain objects and files, or its answer is read as it came. What the package
  says, by method:

"""


def table(reports: Sequence[Report]) -> str:
    """Return the whole document."""
    found = verdicts(reports)
    roundabout = {(step.operation, str(one.client)) for one in reports for step in one.steps if step.note}
    clients = [str(one.client) for one in reports]
    rows = [f"| operation | {' | '.join(clients)} |", f"|---|{'---|' * len(clients)}"]
    for operation in OPERATIONS.values():
        cells = [_cell(found.get((operation.id, one)), (operation.id, one) in roundabout) for one in clients]
        rows.append(f"| `{operation.id}` {operation.method} {operation.path} | {' | '.join(cells)} |")
    passed = [sum(not found.get((one, client), ["-"]) for one in OPERATIONS) for client in clients]
    rows.append(f"| **{len(OPERATIONS)}** | {' | '.join(f'**{count}**' for count in passed)} |")
    return HEAD + "\n".join(rows) + "\n" + NOTES + "\n".join(_notes(reports)) + "\n"


def _cell(wrong: list[str] | None, roundabout: bool) -> str:
    if wrong is None:
        return "–"
    return "**fail**" if wrong else "pass*" if roundabout else "pass"


def _notes(reports: Sequence[Report]) -> list[str]:
    """Return what a client said of itself, with the methods that it said it of."""
    methods: dict[str, list[str]] = {}
    for one in reports:
        for step in one.steps:
            if step.note and step.method not in methods.setdefault(step.note, []):
                methods[step.note].append(step.method)
    return [f"  - {', '.join(f'`{name}`' for name in names)}: {note}" for note, names in methods.items()]


def run() -> list[Report]:
    """Let every client make its calls, each on an emulator of its own."""
    reports = []
    for client in CLIENTS:
        with tempfile.TemporaryDirectory() as directory, inhabited(Path(directory)) as server:
            reports.append(report(client, server))
    return reports


if __name__ == "__main__":
    write_atomically(FILE, table(run()))
