"""A chat session: its connection, its input line, and its output."""

from __future__ import annotations

import queue
from contextlib import ExitStack
from functools import partial

from ckfunc.api import Client
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK
from ckfunc.chat.client import ChannelChoice, ChatClient, help_lines
from ckfunc.chat.connection import ChatEmulator, ChatLogin
from ckfunc.chat.events import ChatEvent, RunEvent, SessionEvent, TypingEvent
from ckfunc.chat.line_editor import LineEditor, read_lines
from ckfunc.chat.lines import ChatView, event_lines, event_record
from ckfunc.chat.loop import ChatItem, ChatLoop, RunFollower
from ckfunc.cli.app import App
from ckfunc.deploy.stacks import Stacks


def chat_session(app: App, login: ChatLogin, channel: ChannelChoice, url: str | None) -> int:
    """Chat until the input ends or the user quits, and return the exit code. `url` None is the project's emulator."""
    with app.output.progress("connecting"):
        emulator = (
            ChatEmulator.at(url) if url is not None else ChatEmulator.of_project(app.target, app.running_emulator)
        )
        client = app.connect(emulator.running(), emulator.connection, silent=True)
    items: queue.SimpleQueue[ChatItem] = queue.SimpleQueue()
    talk = ChatClient(login, channel, items.put)
    printer = EventPrinter(app, login.username, client)
    runs = RunFollower(client, login.username, lambda: talk.channel_id, items.put)
    with ExitStack() as ending:
        with app.output.progress("connecting"):
            runs.follow(app.clock)
            ending.callback(runs.stop)
            ending.callback(talk.disconnect)
            talk.open(client.connection.api_url)
        if app.output.interactive and app.output.pinnable:
            printer.editor = LineEditor(app.output, login.username, items.put)
            ending.callback(app.output.unpin)
            ending.enter_context(printer.editor.reading())
            printer.editor.show()
        else:
            read_lines(items.put)
        loop = ChatLoop(talk, items, printer, emulator.find_url, app.clock, app.directory)
        loop.run()
    return EXIT_FAILED if loop.failed and printer.editor is None else EXIT_OK


class EventPrinter:
    """Prints events as results, and the state of the connection as messages. `editor` is the line below them."""

    def __init__(self, app: App, username: str, client: Client) -> None:
        self._app = app
        self.editor: LineEditor | None = None
        self._stacks = Stacks(client, app.scripts, fresh=True)
        output = app.output
        self.failed, self.waited = output.failure, output.require_reader
        self._view = partial(
            ChatView, username, flat=output.width() is None, details=output.settings.verbose, zone=None
        )

    def show(self, event: ChatEvent, /) -> None:
        """Print an event."""
        output = self._app.output
        if isinstance(event, TypingEvent) and self.editor is not None:
            self.editor.note_typing(event.user.name, typing=event.typing)
        elif output.settings.json:
            output.record(event_record(event))
        else:
            if isinstance(event, RunEvent):
                event = RunEvent(self._stacks.mapped(event.entry))
            lines = event_lines(event, self._view(width=output.width()), self._app.clock.now())
            (output.talks if isinstance(event, SessionEvent) else output.lines)(lines)
            output.flush()

    def help(self) -> None:
        """Print the commands."""
        self._app.output.talks(help_lines())
