"""Projects on disk, checked with the real compiler; Node parses in one process for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ckfunc.base.files import cache_dir
from ckfunc.check.findings import Finding
from ckfunc.check.run import CheckResult, check_scripts
from ckfunc.check.subject import AmbientTypes, Subject, Tools
from ckfunc.check.typescript import compiler, declarations_of_node
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Script
from ckfunc.runtime.compiler import CompilerProcess

STUBS = {
    "stubs.d.ts": "interface Message { body: string }\ndeclare function send(message: Message): Promise<void>;\n"
    'declare module "*";\n'
}
SETTINGS = '{"compilerOptions": {"target": "ES2022", "lib": ["ES2023"], "strict": true, "types": []}}'
GOOD = "function handleEvent(message: Message) { return send(message); }\n"
WRONG = "function handleEvent(message: Message) {\n  return message.size;\n}\n"


@dataclass
class World:
    """A project whose handlers are the `.ts` and `.js` files of `handlers/`, with a log of the calls of tools."""

    root: Path
    parser: CompilerProcess
    stubs: dict[str, str] = field(default_factory=lambda: dict(STUBS))
    identity: str = "1"
    complete: bool = True
    unbundled: tuple[Finding, ...] = ()
    asked: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def subject(self) -> Subject:
        handlers = tuple(
            Script(path.relative_to(self.root).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted((self.root / "handlers").iterdir())
        )
        init = self.root / "init.ts"
        script = Script("init.ts", init.read_text(encoding="utf-8")) if init.exists() else None
        return Subject(self.root, handlers, script, AmbientTypes(self._made, self.identity, SETTINGS))

    def check(self) -> CheckResult:
        self.asked.clear()
        return check_scripts(self.subject(), parse=self._parse, tools=self._tools, bundle=lambda: self.unbundled)

    def places(self) -> list[str]:
        """Return the place and code of every finding, as `handlers/x.ts:2:18 TS2339`."""
        return [f"{finding.place} {finding.code}" for finding in self.check().findings]

    def _made(self) -> dict[str, str]:
        self.asked.append("stubs")
        return self.stubs

    def _parse(self, scripts: Sequence[Script]) -> Sequence[SyntaxProblem]:
        self.asked += [script.path for script in scripts]
        found = self.parser.compile([(script.path, script.text) for script in scripts])
        return [result for result in found if isinstance(result, SyntaxProblem)]

    def _tools(self) -> Tools:
        self.asked.append("tsc")
        return Tools(compiler(cache_dir()), declarations_of_node(self.root, cache_dir()), self.complete)


@pytest.fixture(scope="session")
def parser() -> Iterator[CompilerProcess]:
    with CompilerProcess() as compiling:
        yield compiling


@pytest.fixture
def world(tmp_path: Path, parser: CompilerProcess) -> World:
    return World(tmp_path, parser)
