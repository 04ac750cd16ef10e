"""The types that `ckfunc types` writes, checked with the real compiler and the real SDK."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.npm_packages import locked_packages
from support.typescript import tsc

from ckfunc.base.secrets import secret_values
from ckfunc.model.project import ManifestFunction, ManifestRuntime, Project, Script, Target
from ckfunc.model.triggers import TRIGGERS, event_type, file_stem
from ckfunc.scaffold.platform import EMBEDDED, NOT_IN_SDK, PARAMETERS_NOT_IN_SDK, RESOURCES, Writer
from ckfunc.scaffold.project import handler_path, handler_text, init
from ckfunc.scaffold.stubs import Schemas, Scope, scope_of, stale_stubs, stub_files, write_stubs
from ckfunc.scaffold.templates import sample_event, sample_text
from ckfunc.wire.contract import operations, schemas

# The handler in the API document for versions 31 to 34 of a function.
DOCUMENTED_HANDLER = """\
const logs = [];

async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  let email = event.username;
  let displayName = event.authParams.displayName || email;

  let userApi = context.getUserApi();

  logs.push('Hello ' + event.username);

  await userApi.getUserExists(email)
    .catch(async () => {
      let user = await userApi.createUser(
        {
          'name': email,
          'displayName': displayName
        }
      );

      let channelApi = context.getChannelApi();

      await channelApi.createChannelMember(702, { 'id': user.data.id });
    });

  return logs;
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    init(tmp_path, Schemas("{}"))
    return tmp_path


def add(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def places(project: Path) -> list[str]:
    """Return the places of the errors that tsc reports, as `file(line`."""
    return [line.partition(",")[0] for line in tsc(project) if not line.startswith(" ")]


def test_all_scaffolded_handlers_pass_a_strict_type_check(project: Path) -> None:
    for trigger in TRIGGERS:
        add(project, handler_path(trigger), handler_text(trigger))
    assert tsc(project) == []


def test_errors_in_handlers_are_found(project: Path) -> None:
    add(
        project,
        "handlers/wrong.ts",
        """\
async function handleEvent(event: UserSentMessageEvent, context: Context) {
  console.log(event.sender);
  if (event.message.type === "SYSTEM_TEXT") console.log(event.message.user);
  await context.ChatKitty.Users.checkUserExist("jane");
  await context.ChatKitty.Channels.sendChannelMessage("1", { type: "TEXT", body: "Hi" });
  await context.ChatKitty.Channels.sendChannelMessage(1, { type: "TEXT" });
  const name: string = process.env.NAME;
  window.alert("no");
}
""",
    )
    problems = tsc(project)
    assert [int(re.search(r"wrong\.ts\((\d+),", line)[1]) for line in problems if "wrong.ts" in line] == [  # type: ignore[index] # each has one
        2, 3, 4, 5, 6, 7, 8,
    ]  # fmt: skip


def test_the_handler_of_the_api_document_has_only_one_type_error(project: Path) -> None:
    add(project, "handlers/start-session.ts", DOCUMENTED_HANDLER.replace("logs = []", "logs: string[] = []"))
    assert tsc(project) == []


def test_the_legacy_names_of_the_api_are_declared(project: Path) -> None:
    add(
        project,
        "handlers/older.ts",
        """\
async function handleEvent(event: UserSentMessageEvent, context: Context) {
  const { data: user } = await context.getUserApi().getUser(event.user.id);
  const { data: channel } = await context.getChannelApi().createChannelMember(1, { id: user.id });
  await context.getChannelApi().deleteChannelMember(channel.id, user.id);
  const { data: page } = await context.getMessageApi().getMessages(5);
  return page._embedded?.messages?.map((message) => message.createdTime);
}
""",
    )
    assert tsc(project) == []
    add(project, "handlers/wrong.ts", "function handleEvent(_: unknown, c: Context) { c.getUserApi().getNothing(); }")
    [problem] = tsc(project)
    assert "getNothing" in problem


def test_node_modules_and_globals_are_in_scope(project: Path) -> None:
    add(
        project,
        "handlers/node.ts",
        """\
import { createHash } from "node:crypto";
import { readFile } from "fs/promises";
import axios from "axios";
const qs = require("qs");

async function handleEvent(event: UserStartedCallEvent, context: Context) {
  const answer = await fetch(new URL("/hook", process.env.BASE), { method: "POST", signal: AbortSignal.timeout(500) });
  const timer = setTimeout(() => console.warn("late"), 100);
  clearTimeout(timer);
  const id = crypto.randomUUID() + Buffer.from("a").toString("base64") + event.anything;
  return { id, ok: answer.ok, text: await answer.text(), hash: createHash("sha256"), readFile, axios, qs };
}
""",
    )
    assert tsc(project) == []


def test_names_of_the_project_are_in_scope(project: Path) -> None:
    script = Script(
        "lib/init.ts", "const limit = 3;\nexport function greet(name: string) { return name; }\nexport { limit };\n"
    )
    add(project, script.path, script.text)
    add(
        project,
        "handlers/pizza.ts",
        """\
import deliver from "pizza-delivery";
import { slice } from "pizza-delivery/slice";

async function handleEvent(event: PizzaOrderedEvent, context: Context) {
  const upper: string = greet("Jane");
  const most: number = limit;
  return { upper, most, eaten: slice(deliver(event.size)) };
}
""",
    )
    wanted = Project(
        root=project,
        target=Target("local", emulator=True),
        runtime=ManifestRuntime(dependencies={"pizza-delivery": "1.0.0"}, initialization_script=script),
        functions=(ManifestFunction("pizza.ordered", Script("handlers/pizza.ts", ""), "Pizza Ordered"),),
    )
    write_stubs(project, Schemas("{}"), scope_of(wanted))
    assert tsc(project) == []

    add(project, "handlers/misuse.ts", "async function handleEvent() { const a: number = greet(1); }\n")
    assert len(tsc(project)) == 2


def test_types_that_the_init_script_exports_are_in_scope(project: Path) -> None:
    script = Script(
        "init.ts",
        """\
export interface Ticket { id: number }
export class Desk { open(): Ticket { return { id: 1 }; } }
export const { desk, count: tickets } = { desk: new Desk(), count: 2 };
""",
    )
    add(project, script.path, script.text)
    add(
        project,
        "handlers/desk.ts",
        """\
async function handleEvent(event: UserSentMessageEvent, context: Context) {
  const ticket: Ticket = new Desk().open();
  const other: Desk = desk;
  const wrong: string = tickets;
  return [ticket.id, other.open().number];
}
""",
    )
    write_stubs(project, Schemas("{}"), Scope(initialization_script=script))
    assert places(project) == ["handlers/desk.ts(4", "handlers/desk.ts(5"]


def test_exports_of_a_bundled_init_script_are_in_scope(project: Path) -> None:
    add(project, "lib/greet.ts", "export const greet = (name: string) => name;\n")
    written = 'export * from "./lib/greet";\n'
    add(project, "init.ts", written)
    add(project, "handlers/use.ts", "async function handleEvent() { greet(1); }\n")
    bundle = "const greet = (name) => name;\nexport {\n  greet\n};\n"
    script = Script("init.ts", bundle, modules=("init.ts", "lib/greet.ts"), written=written)
    write_stubs(project, Schemas("{}"), Scope(initialization_script=script))
    [problem] = tsc(project)
    assert problem.startswith("handlers/use.ts(1,")
    assert "'number' is not assignable to parameter of type 'string'" in problem


@pytest.mark.parametrize("whole_node", [False, True])
def test_declared_variables_are_strings_and_others_may_be_undefined(project: Path, whole_node: bool) -> None:
    if whole_node:
        (project / "node_modules").symlink_to(locked_packages("node-types") / "node_modules", target_is_directory=True)
        settings = project / "tsconfig.json"
        settings.write_text(settings.read_text().replace('"types": []', '"types": ["node"]'))
    add(
        project,
        "handlers/env.ts",
        """\
async function handleEvent() {
  const declared: string = process.env.SUPPORT_CHANNEL + process.env.CHATKITTY_APPLICATION_ID.length;
  const maybe: string | undefined = process.env.OTHER;
  const missing: string = process.env.OTHER;
  const { SUPPORT_CHANNEL, ANOTHER } = process.env;
  SUPPORT_CHANNEL.length;
  ANOTHER.length;
  return [declared, maybe, missing];
}
""",
    )
    environment = {"SUPPORT_CHANNEL": "a value that nobody sees"}
    wanted = Project(project, Target("local"), ManifestRuntime(environment=secret_values(environment)), None)
    scope = scope_of(wanted)
    files = stub_files(Schemas("{}"), scope)
    assert "nobody sees" not in repr(scope) + "".join(files.values())
    write_stubs(project, Schemas("{}"), scope)
    assert places(project) == ["handlers/env.ts(4", "handlers/env.ts(7"]


@pytest.mark.parametrize(
    "name",
    ["init.mts", "boot/init.js", *(pytest.param(name, marks=pytest.mark.slow) for name in ("init.ts", "init.cts"))],
)
def test_an_init_script_may_be_in_any_dialect(project: Path, name: str) -> None:
    text = "export const answer = 42;\n"
    add(project, name, text)
    add(project, "handlers/use.ts", "function handleEvent() { const a: number = answer; return a; }\n")
    write_stubs(project, Schemas("{}"), Scope(initialization_script=Script(name, text)))
    assert tsc(project) == []


def test_real_types_of_a_package_take_precedence(project: Path) -> None:
    add(project, "node_modules/pizza/package.json", '{"name": "pizza", "version": "1.0.0", "types": "index.d.ts"}')
    add(project, "node_modules/pizza/index.d.ts", "export declare function slice(count: number): string;\n")
    add(project, "handlers/eat.ts", 'import { slice } from "pizza";\nasync function handleEvent() { slice("2"); }\n')
    write_stubs(project, Schemas("{}"), Scope(packages=("pizza",)))
    [problem] = tsc(project)
    assert problem.startswith("handlers/eat.ts(2,")


@pytest.mark.slow
def test_the_types_of_node_can_replace_the_basic_declarations(project: Path) -> None:
    (project / "node_modules").symlink_to(locked_packages("node-types") / "node_modules", target_is_directory=True)
    settings = project / "tsconfig.json"
    settings.write_text(settings.read_text().replace('"types": []', '"types": ["node"]'))
    add(
        project,
        "handlers/node.ts",
        """\
import { createHash } from "node:crypto";

async function handleEvent(event: UserSentMessageEvent, context: Context) {
  clearTimeout(setTimeout(() => console.log(process.env.X, Buffer.from("x")), 1));
  return createHash("sha256").update(await (await fetch(new URL("http://x"))).text()).digest("hex");
}
""",
    )
    assert tsc(project) == []
    add(project, "handlers/wrong.ts", 'import { createHash } from "node:crypto";\ncreateHash(1);\n')
    [problem] = tsc(project)
    assert problem.startswith("handlers/wrong.ts(2,")


@pytest.mark.slow
def test_the_api_has_the_same_calls_and_answers_as_the_real_sdk(project: Path) -> None:
    (project / "node_modules").symlink_to(locked_packages("sdk") / "node_modules", target_is_directory=True)
    add(
        project,
        "check.ts",
        """\
import type { ChatKitty as Real } from "chatkitty-platform-sdk";

type Family = keyof ChatKitty;
type Families = { [Name in Family]: Real[Name] };
type Calls<T> = keyof { [Name in keyof T as T[Name] extends (...args: any[]) => any ? Name : never]: any };
type Missing = { [Name in Family]: Exclude<Calls<Real[Name]>, keyof ChatKitty[Name]> }[Family];
type Invented = { [Name in Family]: Exclude<keyof ChatKitty[Name], Calls<Real[Name]>> }[Family];
type Differences = [Missing, Invented, Exclude<keyof Real, Family>];

// Ours may say more of an answer (which "type" has which fields), and must ask for nothing that the SDK does not take.
type Data<F> = F extends (...args: any[]) => Promise<{ data: infer D }> ? D : "not a call";
type Args<F> = F extends (...args: infer A) => any ? A : "not a call";
// The SDK calls some lists a Set, which JSON cannot carry: an array is what comes and goes.
type Plain<T> = T extends Set<infer X> ? Plain<X>[] : T extends object ? { [Name in keyof T]: Plain<T[Name]> } : T;
type Wrong<O, R> = {
  [Name in keyof O & keyof R]: [Args<O[Name]>, Data<O[Name]>] extends [Plain<Args<R[Name]>>, Plain<Data<R[Name]>>]
    ? never
    : Name;
}[keyof O & keyof R];

const sameCalls: Differences extends [never, never, never] ? true : Differences = true;
type WrongCalls = { [Name in Family]: Wrong<ChatKitty[Name], Real[Name]> }[Family];
// The API document knows a kind of job that is younger than the SDK.
type Younger = keyof ImportsApi | keyof JobsApi;
const rightCalls: Exclude<WrongCalls, Younger> extends never ? true : WrongCalls = true;
""",
    )
    assert tsc(project) == []


def test_unchanged_stubs_are_not_written(project: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (project / ".ckfunc").rglob("*") if path.is_file()}
    again = write_stubs(project, Schemas("{}"))
    assert {file.path for file in again} == set(before)
    assert {file.action for file in again} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_every_resource_of_the_contract_has_a_type() -> None:
    answers = {name for name in schemas() if name.endswith("Resource") and not re.match("Create|(Cursor)?Paged", name)}
    assert answers <= RESOURCES.keys()
    answered = {
        operation.response
        for operation in operations()
        if operation.response and "PagedModel" not in operation.response
    }
    assert answered <= RESOURCES.keys()


@pytest.mark.parametrize("schema", EMBEDDED)
def test_embedded_resources_differ_only_in_links(schema: str) -> None:
    [resource] = [resource for resource, name in RESOURCES.items() if name == EMBEDDED[schema]]
    names = RESOURCES | EMBEDDED

    def shape(name: str) -> object:
        writer, found = Writer(schemas(), names), schemas()[name]
        if "properties" not in found:
            return set(writer.alternatives(found))
        fields = found["properties"].items()
        return {key: (writer.type(said), key in found["required"]) for key, said in fields if key != "_links"}

    assert shape(schema) == shape(resource)


def test_every_call_that_is_not_in_the_sdk_is_an_operation() -> None:
    known = {operation.id: {said["name"] for said in operation.parameters} for operation in operations()}
    assert known.keys() >= NOT_IN_SDK
    assert all(parameter in known[operation] for operation, parameter in PARAMETERS_NOT_IN_SDK)


def test_names_and_texts_are_escaped_for_typescript() -> None:
    found = {
        "A": {
            "description": "ends */ here",
            "properties": {
                "a-b": {"type": "array", "items": {"enum": ["x", "y"]}},
                "c": {"type": "array", "items": {"properties": {"d": {"type": "boolean"}}, "type": "object"}},
                "e": {"anyOf": [{"type": "integer"}, {"const": "all"}]},
            },
            "required": ["a-b"],
        }
    }
    assert Writer(found, {"A": "A"}).declaration("A") == (
        "/** ends *\\/ here */\n"
        'interface A {\n  "a-b": ("x" | "y")[];\n  c?: { d?: boolean }[];\n  e?: number | "all";\n}'
    )


def test_an_unreadable_stub_is_stale(project: Path) -> None:
    (project / ".ckfunc/types/node.d.ts").unlink()
    (project / ".ckfunc/types/node.d.ts").mkdir()
    assert stale_stubs(project, Schemas("{}")) == {".ckfunc/types/node.d.ts": "cannot be read: is a directory"}


def test_every_known_event_has_a_type(tmp_path: Path) -> None:
    types = stub_files(Schemas("{}"))[".ckfunc/types/chatkitty.d.ts"]
    for trigger in TRIGGERS:
        assert f"interface {event_type(trigger.type)} {{" in types


def test_every_sample_event_passes_its_own_declarations(project: Path) -> None:
    # Not imported, because only literals are checked for excess fields.
    names = {trigger.type: event_type(trigger.type) for trigger in TRIGGERS}
    samples = [f"const of{name}: {name} = {sample_text(trigger_type)};" for trigger_type, name in names.items()]
    add(project, "samples.ts", "\n".join(samples))
    assert tsc(project) == []


def test_a_sample_with_missing_or_extra_fields_fails(project: Path) -> None:
    documented = [trigger for trigger in TRIGGERS if trigger.fields]
    for trigger in documented:
        event = sample_event(trigger.type)
        del event[trigger.fields[0].name]
        text = f"const a: {event_type(trigger.type)} = {json.dumps(event)};\n"
        text += f"const b: {event_type(trigger.type)} = {json.dumps({**sample_event(trigger.type), 'unknown': 1})};\n"
        add(project, f"{file_stem(trigger.type)}.ts", text)
    assert set(places(project)) == {f"{file_stem(trigger.type)}.ts({line}" for trigger in documented for line in (1, 2)}
