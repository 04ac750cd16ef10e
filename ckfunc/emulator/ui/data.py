"""The page of the data: add users, channels and messages; snapshots and reset."""

from __future__ import annotations

from urllib.parse import urlencode

from ckfunc.emulator import replacement
from ckfunc.emulator.http.bodies import SEED_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.stored_data import read_seed_text
from ckfunc.emulator.ui.pages import form_route, on_a_thread, page, page_route, redirect
from ckfunc.model.job import Seeded

_LONGEST_DONE = 120

_EXAMPLE = """\
users:
  - {name: jane@example.com, display_name: Jane}
  - {name: agent, display_name: Support agent}
channels:
  - name: support
    type: PUBLIC
    members: [jane@example.com, agent]
    messages:
      - {user: jane@example.com, body: Hello}
      - {body: A message from the system}
"""


def show_data(call: Call, services: EmulatorServices) -> Reply:
    """Show a form for a seed, and commands for all data."""
    return _page(call, services, _EXAMPLE)


async def add_seed(call: Call, services: EmulatorServices) -> Reply:
    """Add what a seed holds and the database does not, and show the numbers of added rows."""
    text = _text(call)
    seed, _ = await on_a_thread(lambda: read_seed_text(text, "seed"))
    return _page(call, services, "", await services.add_seed(seed))


async def save_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Save all data as a snapshot."""
    form = call.form()
    snapshot = await replacement.save(services, form.get("name", "").strip(), replace=form.get("replace") == "yes")
    return _done(f"Saved snapshot {snapshot.name}.")


async def restore_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Replace all data with a snapshot."""
    snapshot = await replacement.restore(services, call.parameters["name"])
    return _done(f"Restored snapshot {snapshot.name}.")


def remove_snapshot(call: Call, services: EmulatorServices) -> Reply:
    """Delete a snapshot."""
    snapshot = replacement.remove(services, call.parameters["name"])
    return _done(f"Deleted snapshot {snapshot.name}.")


async def reset(_call: Call, services: EmulatorServices) -> Reply:
    """Delete all data."""
    await replacement.reset(services)
    return _done("Deleted all data.")


def _done(text: str) -> Reply:
    return redirect("/ui/data?" + urlencode({"done": text}))


def _text(call: Call) -> str:
    """Return the seed of a form: its file if there is one, otherwise its text field. Raises Refused."""
    if call.is_multipart and (part := call.multipart().get("file")) is not None and part.content:
        try:
            return part.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused("the file is not UTF-8 text") from None
    return call.form().get("seed", "")


def _page(call: Call, services: EmulatorServices, text: str, added: Seeded | None = None) -> Reply:
    return page(
        call,
        services,
        "data",
        title="Data",
        seed=text,
        done=(call.first("done") or "")[:_LONGEST_DONE] if added is None else _added(added),
        snapshots=services.snapshots.all(),
        directory=services.data_dir,
    )


def _added(added: Seeded) -> str:
    return f"Added: {added.summary or 'nothing, because all of it exists'}."


ROUTES = (
    page_route("/ui/data", show_data),
    form_route("/ui/data", add_seed, SEED_BYTES),
    form_route("/ui/data/snapshots", save_snapshot),
    form_route("/ui/data/snapshots/{name}/restore", restore_snapshot),
    form_route("/ui/data/snapshots/{name}/delete", remove_snapshot),
    form_route("/ui/data/reset", reset),
)
