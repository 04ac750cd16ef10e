"""Print the events of a chat."""

from __future__ import annotations

from functools import partial

from ckfunc.api import Client
from ckfunc.base.errors import CkfuncError
from ckfunc.chat.commands import COMMANDS
from ckfunc.chat.events import ChatEvent, RunEvent, SessionEvent, TypingEvent
from ckfunc.chat.lines import ChatView, event_lines, event_record
from ckfunc.cli.app import App
from ckfunc.cli.line_editor import LineEditor
from ckfunc.logs.stacks import Stacks


class EventPrinter:
    """Prints events as results, and the state of the connection as messages. `editor` is the line below them."""

    def __init__(self, app: App, username: str, client: Client) -> None:
        self._app = app
        self.editor: LineEditor | None = None
        self._username = username
        self._stacks = Stacks(client, app.scripts, fresh=True)
        self._typing: set[str] = set()
        output = app.output
        self._view = partial(ChatView, username, flat=output.width() is None, details=output.verbose, zone=None)

    def show(self, event: ChatEvent, /) -> None:
        """Print an event."""
        output = self._app.output
        if isinstance(event, TypingEvent) and self.editor is not None:
            self._note(self.editor, event)
        elif output.json:
            output.record(event_record(event))
        else:
            if isinstance(event, RunEvent):
                event = RunEvent(self._stacks.mapped(event.entry))
            lines = event_lines(event, self._view(width=output.width()), self._app.clock.now())
            (output.talks if isinstance(event, SessionEvent) else output.lines)(lines)
            output.flush()

    def help(self) -> None:
        """Print the commands."""
        for name, (arguments, text) in COMMANDS.items():
            self._app.output.talk("  ", (f"/{name} {arguments}".ljust(22), "title"), text)

    def failed(self, problem: CkfuncError, /) -> None:
        """Print why a line had no effect."""
        self._app.output.failure(problem)

    def waited(self) -> None:
        """Raise ReaderGone if nobody reads the results any more."""
        self._app.output.require_reader()

    def _note(self, editor: LineEditor, event: TypingEvent) -> None:
        """Show who is typing next to the prompt."""
        name = event.user.name
        if name == self._username:
            return
        (self._typing.add if event.typing else self._typing.discard)(name)
        names = sorted(self._typing)
        editor.note(
            "" if not names else f"{names[0]} is typing" if len(names) == 1 else f"{len(names)} users are typing"
        )
