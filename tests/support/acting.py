"""Users who act on an emulator of this process, in real time."""

from __future__ import annotations

from datetime import datetime

from ckfunc.base.clock import SystemClock
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.services import EmulatorServices
from ckfunc.sandbox.acts import Act, Consequences
from ckfunc.sandbox.conversations import Conversation, VirtualTime


class RealTime(VirtualTime):
    """The time of the system."""

    def now(self) -> datetime:
        return SystemClock().now()


class Acting:
    """Performs acts, each after all functions that the previous act triggered have ended."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

        async def begun(services: EmulatorServices) -> Conversation:
            return Conversation(services, RealTime(SystemClock().now()))

        self._conversation = emulator.within(begun)

    def act(self, act: Act) -> Consequences:
        """Perform an act."""
        return self._emulator.within(lambda _: self._conversation.perform(act))
