"""Documents that commands print with `--json`.

The functions that build these documents are checked against the types here. `ckfunc help COMMAND --schema` and the
documentation are generated from them: a docstring describes an object, an annotation describes a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

# -- projects ------------------------------------------------------------------------------------------------------


class FileJson(TypedDict):
    """A file that was written."""

    path: Annotated[str, "Path, relative to the directory."]
    action: Annotated[str, "`created`, `updated`, `overwritten`, `unchanged`, `kept` or `removed`."]
    note: NotRequired[Annotated[str, "The reason for the action."]]


class WrittenJson(TypedDict):
    """The files that were written."""

    directory: Annotated[str, "The directory of the project, or of the repository for a pipeline."]
    files: list[FileJson]


class StaleFileJson(TypedDict):
    """A file that is out of date."""

    path: Annotated[str, "Path, relative to the project."]
    reason: Annotated[str, "Why it is out of date."]


class StaleTypesJson(TypedDict):
    """The result of `ckfunc types --check`."""

    current: Annotated[bool, "Whether all files are up to date."]
    stale: list[StaleFileJson]


class PulledFileJson(TypedDict):
    """A file of a pull."""

    path: Annotated[str, "Path, relative to the project."]
    action: Annotated[str, "`created`, `updated` or `kept`."]


class PulledJson(TypedDict):
    """The result of a pull."""

    directory: Annotated[str, "The directory of the project."]
    files: list[PulledFileJson]
    conflicts: Annotated[int, "The number of conflicts."]
    unmarked_conflicts: Annotated[list[str], "Conflicts that are not marked with `<<<<<<<` in a file."]
    notes: Annotated[list[str], "Warnings."]


class LockChangeJson(TypedDict):
    """A package whose versions have changed."""

    name: Annotated[str, "Name of the package."]
    before: Annotated[list[str], "Versions that are no longer locked."]
    after: Annotated[list[str], "Versions that are new; the same as `before` if only the contents differ."]


class LockJson(TypedDict):
    """The result of `ckfunc lock`."""

    file: Annotated[str, "Name of the lock file."]
    written: Annotated[bool, "Whether the file was changed."]
    packages: Annotated[int, "The number of locked packages."]
    changes: list[LockChangeJson]


class LockCheckJson(TypedDict):
    """The result of `ckfunc lock --check`."""

    current: Annotated[bool, "Whether the lock file is up to date."]
    problems: Annotated[list[str], "Why it is not."]


class VulnerabilityJson(TypedDict):
    """A known vulnerability in a locked package."""

    package: Annotated[str, "Name of the package."]
    versions: Annotated[list[str], "The affected versions that are locked."]
    severity: Annotated[str, "`info`, `low`, `moderate`, `high` or `critical`."]
    title: Annotated[str, "Title of the advisory."]
    url: Annotated[str, "Address of the advisory."]
    range: Annotated[str, "All affected versions."]
    fixedIn: Annotated[list[str], "The first versions that are not affected."]
    path: Annotated[list[str], "The packages that lead to this package, from the direct dependency on."]
    platform: Annotated[bool, "Whether only packages of the platform need it, so that the project cannot change it."]


class AuditJson(TypedDict):
    """The result of an audit."""

    packages: Annotated[int, "The number of audited packages."]
    vulnerabilities: list[VulnerabilityJson]
    ok: Annotated[bool, "Whether no package that the project can change is affected."]


class FindingJson(TypedDict):
    """An error in a file of the project."""

    path: Annotated[str, "Path of the file, relative to the project."]
    line: Annotated[int, "Line, from 1; 0 if the error concerns the whole file."]
    column: Annotated[int, "Column, from 1."]
    code: Annotated[str, "`TS` and a number for errors of TypeScript; otherwise the kind of error, such as `manifest`."]
    message: Annotated[str, "The error, possibly on several lines."]


class DiagnosisJson(TypedDict):
    """The result of one check of the setup."""

    check: Annotated[str, "Name of the check."]
    verdict: Annotated[str, "`ok`, `warn` or `fail`."]
    text: Annotated[str, "What was found."]
    hint: NotRequired[Annotated[str, "What to do."]]


class CacheEntryJson(TypedDict):
    """A file or installation in the cache."""

    kind: Annotated[str, "Kind of the entry, such as `packages`."]
    name: Annotated[str, "Name, such as the packages of an installation."]
    path: Annotated[str, "Its place in the file system."]
    bytes: Annotated[int, "Its size."]
    lastUsed: Annotated[str, "When it was last used (ISO 8601, UTC)."]
    inUse: Annotated[bool, "Whether a running ckfunc uses it."]


class CacheJson(TypedDict):
    """The contents of the cache."""

    directory: Annotated[str, "The directory of the cache."]
    bytes: Annotated[int, "The size of all entries."]
    entries: list[CacheEntryJson]


class CacheCleanedJson(TypedDict):
    """The result of `ckfunc cache clean`."""

    directory: Annotated[str, "The directory of the cache."]
    dryRun: Annotated[bool, "Whether nothing was removed because of `--dry-run`."]
    bytes: Annotated[int, "The size of the removed entries."]
    removed: list[CacheEntryJson]
    inUse: Annotated[list[CacheEntryJson], "Entries that are in use, and stay."]


# -- applications --------------------------------------------------------------------------------------------------


class ApplicationJson(TypedDict):
    """The application that a target's credentials belong to."""

    target: Annotated[str, "Name of the target."]
    application: Annotated[int, "Id of the application."]
    key: Annotated[str, "Key of the application."]
    client_id: Annotated[str, "The client id."]
    api: Annotated[str, "Address of the Platform API."]


class IdentityJson(ApplicationJson):
    """The application that a target's credentials belong to, and the source of the credentials."""

    credentials: Annotated[str, "Where the credentials come from."]


class LoginJson(ApplicationJson):
    """The application of a login."""

    keyring: Annotated[str, "The keyring that has the credentials now."]


class LogoutJson(TypedDict):
    """The result of `ckfunc logout`."""

    target: Annotated[str, "Name of the target."]
    removed: Annotated[bool, "Whether there were saved credentials."]


# -- deploys -------------------------------------------------------------------------------------------------------


class ResourceJson(TypedDict):
    """A resource of the application."""

    kind: Annotated[str, "`dependencies`, `environment`, `initialization_script`, `functions` or `settings`."]
    name: Annotated[str, "Name of the resource; for a function, its trigger type."]


class ChangeJson(ResourceJson):
    """A planned change of a resource."""

    action: Annotated[str, "`create`, `update` or `remove`."]
    old_version: NotRequired[Annotated[int | None, "The deployed version of a function."]]
    new_version: NotRequired[Annotated[int | None, "The version that a deploy would create."]]
    path: NotRequired[Annotated[str | None, "Path of a script, relative to the project."]]
    diff: NotRequired[Annotated[str, "Unified diff of a script."]]
    before: NotRequired[Annotated[Any, "The current value; secrets are masked."]]
    after: NotRequired[Annotated[Any, "The new value; secrets are masked."]]


class GateJson(TypedDict):
    """The verdict of a gate."""

    gate: Annotated[str, "The gate, such as `check` or `replay:50`."]
    ok: Annotated[bool, "Whether it passed."]
    summary: Annotated[str, "Its result in one line."]
    seconds: Annotated[float, "How long it took."]
    details: Annotated[list[str], "Lines that explain a failure."]


class PlanJson(TypedDict):
    """What a deploy would change. The hook `before_deploy` reads the same document, without `gates`."""

    target: Annotated[str, "Name of the target."]
    application: Annotated[int | None, "Id of the application."]
    summary: Annotated[
        dict[str, int], "The number of resources: `create`, `update`, `remove`, `unchanged`, `unmanaged`."
    ]
    changes: list[ChangeJson]
    unchanged: list[ResourceJson]
    unmanaged: Annotated[list[ResourceJson], "Resources that the manifest does not mention."]
    warnings: list[str]
    gates: NotRequired[Annotated[list[GateJson], "If there are gates."]]


class ItemJson(ResourceJson):
    """The result for one resource."""

    result: Annotated[
        str, "`created`, `updated`, `removed`, `unchanged`, `unmanaged`, `failed`, `conflict` or `skipped`."
    ]
    old_version: NotRequired[Annotated[int, "The version of a function before."]]
    new_version: NotRequired[Annotated[int, "The version of a function afterwards."]]
    note: NotRequired[Annotated[str, "Why it failed or was skipped."]]
    hint: NotRequired[Annotated[str, "What to do."]]


class FailedRunJson(TypedDict):
    """A failed run of a watched version."""

    id: Annotated[int, "Id of the invocation."]
    createdTime: Annotated[str, "When it started (ISO 8601, UTC)."]
    error: Annotated[Any, "The error of the handler."]


class WatchedVersionJson(TypedDict):
    """The runs of a watched version."""

    type: Annotated[str, "Trigger type of the function."]
    version: Annotated[int, "The new version."]
    former_version: Annotated[int, "The version before."]
    verdict: Annotated[str, "`good`, `too_few_runs`, `too_many_failures` or `replaced` (by a newer version)."]
    runs: Annotated[int, "The number of runs that have ended."]
    failed: Annotated[int, "The number of runs that failed."]
    allowed: Annotated[int, "The number of runs that may fail."]
    earlier_runs: Annotated[int, "The number of runs of older versions that were compared."]
    earlier_failed: Annotated[int, "The number of runs of older versions that failed."]
    first_failed: Annotated[list[FailedRunJson], "The first failed runs."]


class WatchJson(TypedDict):
    """The result of a watch."""

    ending: Annotated[str, "`kept`, `not_enough_runs`, `reverted`, `not_reverted`, `interrupted` or `not_watched`."]
    watch_for_s: Annotated[float, "How long the deploy was to be watched."]
    max_failures: Annotated[str, "The share of failures that was allowed, such as `2%`."]
    min_runs: Annotated[int, "The number of runs that is enough to judge a version."]
    functions: list[WatchedVersionJson]
    undone: NotRequired[Annotated[list[ItemJson], "The results of the undo."]]
    problem: NotRequired[Annotated[str, "Why the deploy was not watched or not reverted."]]
    notes: NotRequired[Annotated[list[str], "Parts that could not be restored."]]


class ResumedWatchJson(TypedDict):
    """The result of a watch that was continued. The hook `after_deploy` reads the same document."""

    target: Annotated[str, "Name of the target."]
    ok: Annotated[bool, "Whether the deploy was kept."]
    watch: WatchJson


class ReportJson(TypedDict):
    """The result of a deploy or an undo. The hook `after_deploy` reads the same document, without `gates`."""

    target: Annotated[str, "Name of the target."]
    application: Annotated[int | None, "Id of the application."]
    ok: Annotated[bool, "Whether the application matches the plan now."]
    ending: Annotated[str, "`complete`, `stopped` (by a failure), `interrupted` or `declined`."]
    verified: Annotated[bool, "Whether the application was read again and compared."]
    summary: Annotated[dict[str, int], "The number of resources by `result`."]
    items: list[ItemJson]
    warnings: list[str]
    gates: NotRequired[Annotated[list[GateJson], "If there are gates."]]
    watch: NotRequired[Annotated[WatchJson, "If the deploy was watched."]]


class RefusedDeployJson(TypedDict):
    """A deploy that a gate stopped before anything was written."""

    target: Annotated[str, "Name of the target."]
    ok: Annotated[Literal[False], "Always false."]
    gates: list[GateJson]


class ComparisonJson(TypedDict):
    """The differences between two scripts."""

    before: Annotated[str, "Name of the first script: `TYPE@N` or a path."]
    after: Annotated[str, "Name of the second script."]
    equal: Annotated[bool, "Whether they are the same."]
    diff: Annotated[str, "Unified diff, empty if they are equal."]


class CommitJson(TypedDict):
    """The git commit that a version came from."""

    id: Annotated[str, "Hash of the commit."]
    author: str
    time: Annotated[str, "Time of the commit (ISO 8601)."]
    subject: str


class VersionJson(TypedDict):
    """A version of a function."""

    type: Annotated[str, "Trigger type of the function."]
    version: Annotated[int, "Number of the version."]
    id: Annotated[int, "Id of the version on the platform."]
    deployed: Annotated[bool, "Whether it is the deployed version."]
    digest: Annotated[str, "Digest of the script: equal scripts have equal digests."]
    lines: Annotated[int, "The number of lines."]
    deployed_time: NotRequired[Annotated[str, "When this checkout deployed it (ISO 8601, UTC), if it did."]]
    matches_local: NotRequired[Annotated[bool, "Whether the working copy has the same script, if it can be bundled."]]
    commit: NotRequired[Annotated[CommitJson, "With `--blame`, if a commit was found."]]


class ScriptJson(VersionJson):
    """A version of a function, with its script."""

    script: Annotated[str, "The script as it is deployed."]


RollbackJson = TypedDict(
    "RollbackJson",
    {
        "target": Annotated[str, "Name of the target."],
        "type": Annotated[str, "Trigger type of the function."],
        "from": Annotated[int, "The version that was deployed before."],  # a keyword, so the other syntax can't be used
        "to": Annotated[int, "The version whose script is deployed again."],
        "result": Annotated[str, "`updated`, `unchanged`, `declined`, `failed`, `conflict` or `skipped`."],
        "version": NotRequired[Annotated[int | None, "The new version, after an update."]],
        "note": NotRequired[Annotated[str | None, "Why it failed."]],
    },
)
RollbackJson.__doc__ = "The result of a rollback."


# -- invocations ---------------------------------------------------------------------------------------------------


class ConsoleJson(TypedDict):
    """A line of a handler's console output."""

    level: Annotated[str, "`log`, `info`, `warn`, `error` or `debug`."]
    text: str


class CallJson(TypedDict):
    """A handler's request to the Platform API."""

    method: str
    path: str
    body: Annotated[Any, "The body of the request, null without one."]
    status: Annotated[int | None, "Status of the response, null without one."]


class InvocationJson(TypedDict):
    """A run of a function."""

    id: Annotated[int, "Id of the invocation."]
    type: Annotated[str, "Trigger type of the function."]
    version: Annotated[int, "Version of the function."]
    status: Annotated[str, "`RUNNING`, `SUCCEEDED` or `FAILED`."]
    createdTime: Annotated[str, "When it started (ISO 8601, UTC)."]
    args: Annotated[Mapping[str, Any], "The event."]
    result: Annotated[Any, "The value that the handler returned, or its error."]
    console: NotRequired[Annotated[list[ConsoleJson], "On the emulator."]]
    calls: NotRequired[Annotated[list[CallJson], "On the emulator."]]
    callsOmitted: NotRequired[Annotated[int, "The number of further calls that are not in `calls`."]]
    durationMs: NotRequired[Annotated[float, "On the emulator, after the end."]]


class HandlerRunJson(TypedDict):
    """A run of a handler of the working copy."""

    type: Annotated[str, "Trigger type."]
    status: Annotated[str, "`SUCCEEDED` or `FAILED`."]
    durationMs: float | None
    args: Annotated[Mapping[str, Any], "The event."]
    result: Annotated[Any, "The value that the handler returned, or its error."]
    console: list[ConsoleJson]
    calls: list[CallJson]
    callsOmitted: Annotated[int, "The number of further calls that are not in `calls`."]
    allowed: NotRequired[Annotated[bool, "For `user.attempted.start_session`: whether the session would be allowed."]]
    reason: NotRequired[Annotated[str | None, "Why the session would be refused."]]


class TriggeredJson(TypedDict):
    """The result of an event."""

    invocation: Annotated[dict[str, Any] | None, "The invocation, as the Platform API returns it; null if nothing ran."]
    detail: NotRequired[Annotated[dict[str, Any] | None, "Its `console`, `calls`, `callsOmitted` and `durationMs`."]]
    allowed: NotRequired[Annotated[bool, "For `user.attempted.start_session`: whether the session would be allowed."]]
    reason: NotRequired[Annotated[str | None, "Why the session would be refused."]]


class DifferenceJson(TypedDict):
    """A difference between two runs of an invocation."""

    path: Annotated[str, "The place, such as `result.items[0].name` or `calls[2].body.text`."]
    call: NotRequired[Annotated[str, "Method and path of the request that differs."]]
    before: NotRequired[Annotated[Any, "The deployed version's value; absent if it has none."]]
    after: NotRequired[Annotated[Any, "The working copy's value; absent if it has none."]]


class ReplayedJson(TypedDict):
    """A replayed invocation."""

    id: Annotated[int, "Id of the invocation."]
    version: Annotated[int, "The version that ran when it was recorded."]
    createdTime: Annotated[str, "When it was recorded (ISO 8601, UTC)."]
    verdict: Annotated[str, "`equal`, `different`, `noisy` or `failed_both`."]
    asRecorded: Annotated[bool | None, "Whether the deployed version behaved as recorded; null if it had not ended."]
    changes: NotRequired[Annotated[list[DifferenceJson], "If `verdict` is `different`."]]


class BlockedHostJson(TypedDict):
    """A server that handlers tried to reach."""

    host: str
    invocations: Annotated[int, "The number of invocations that tried."]


class ReplayCountsJson(TypedDict):
    """The comparisons of a replay."""

    replayed: Annotated[int, "The number of replayed invocations."]
    equal: Annotated[int, "Invocations with equal results."]
    different: Annotated[int, "Invocations with different results."]
    noisy: Annotated[int, "Invocations that only differ as runs of the same version do."]
    failedBoth: Annotated[int, "Invocations that fail with both versions."]
    asRecorded: Annotated[int, "Invocations for which the deployed version behaved as recorded."]
    ok: Annotated[bool, "Whether there are no differences."]
    noise: Annotated[list[str], "Places that differ between runs of the same version."]
    blockedHosts: list[BlockedHostJson]
    invocations: list[ReplayedJson]


class ReplayJson(ReplayCountsJson):
    """The result of a replay."""

    target: Annotated[str, "Name of the target."]
    type: Annotated[str, "Trigger type of the function."]
    deployed: Annotated[int, "The deployed version."]
    handler: Annotated[str, "Path of the handler in the working copy."]


# -- tests ---------------------------------------------------------------------------------------------------------


class FailureJson(TypedDict):
    """An expectation that was not met."""

    what: Annotated[str, "The expectation, such as `result` or `calls`."]
    message: Annotated[str, "The failure in one sentence."]
    expected: NotRequired[Any]
    actual: NotRequired[Any]


class ErrorJson(TypedDict):
    """An error that a handler threw."""

    name: str | None
    message: str
    stack: str | None


class CaseRunJson(TypedDict):
    """A run of a handler in a test: `result` or `error`, depending on its status."""

    status: Annotated[str, "`SUCCEEDED` or `FAILED`."]
    durationMs: float
    console: list[ConsoleJson]
    calls: list[CallJson]
    result: NotRequired[Annotated[Any, "The value that the handler returned."]]
    error: NotRequired[ErrorJson]


class StepFunctionJson(CaseRunJson):
    """A function that ran because of a step."""

    type: Annotated[str, "Trigger type of the function."]


class SentMessageJson(TypedDict):
    """A message that was sent or changed in a step."""

    channel: Annotated[str, "Name of the channel."]
    user: Annotated[str | None, "Name of the user; null for the system."]
    type: Annotated[str, "`TEXT`, `FILE`, `SYSTEM_TEXT` or `SYSTEM_FILE`."]
    body: NotRequired[Annotated[str, "Text of a text message."]]
    file: NotRequired[Annotated[str | None, "Name of a file message's file."]]
    properties: dict[str, Any]
    changed: NotRequired[Annotated[bool, "True for an edited message."]]
    deleted: NotRequired[Annotated[bool, "True for a deleted message."]]


class SentNotificationJson(TypedDict):
    """A notification that a user received in a step."""

    user: Annotated[str, "Name of the user."]
    channel: Annotated[str | None, "Name of the channel."]
    title: str
    body: str | None


class StepJson(TypedDict):
    """A step of a conversation, and everything that it caused."""

    line: Annotated[int, "Line of the step in the test file."]
    time: Annotated[str, "Time of the step on the clock of the test (ISO 8601, UTC)."]
    act: Annotated[str, "The step in words."]
    messages: list[SentMessageJson]
    functions: list[StepFunctionJson]
    notifications: list[SentNotificationJson]
    online: Annotated[list[str], "Names of the users who are online after the step."]
    typing: Annotated[list[str], "Names of the users who are typing after the step."]
    refused: NotRequired[Annotated[str, "Why the platform refused the step."]]


class CaseJson(TypedDict):
    """The result of a test case."""

    file: Annotated[str, "Path of the test file, relative to the project."]
    line: Annotated[int, "Line of the case."]
    name: str
    type: Annotated[str | None, "Trigger type; null for a conversation."]
    verdict: Annotated[str, "`passed`, `failed`, `broken` (it could not run), `skipped` or `left out`."]
    reason: NotRequired[Annotated[str, "Why it was skipped."]]
    failures: NotRequired[list[FailureJson]]
    status: NotRequired[Annotated[str, "`SUCCEEDED` or `FAILED`, if the handler ran."]]
    durationMs: NotRequired[float]
    console: NotRequired[list[ConsoleJson]]
    calls: NotRequired[list[CallJson]]
    result: NotRequired[Annotated[Any, "The value that the handler returned."]]
    error: NotRequired[ErrorJson]
    steps: NotRequired[Annotated[list[StepJson], "The steps of a conversation that ran."]]


class FileCoverageJson(TypedDict):
    """The coverage of a file."""

    file: Annotated[str, "Path of the file, relative to the project."]
    lines: Annotated[int, "The number of lines with code."]
    covered: Annotated[int, "The number of these lines that ran."]
    percent: float
    uncovered: Annotated[list[list[int]], "The first and the last line of each part that did not run."]


class CoverageJson(TypedDict):
    """The coverage of all handlers and the files that they import."""

    lines: Annotated[int, "The number of lines with code."]
    covered: Annotated[int, "The number of these lines that ran."]
    percent: float
    files: list[FileCoverageJson]


class ShardJson(TypedDict):
    """The part of the cases that ran."""

    shard: Annotated[str, "The part, such as `2/4`."]
    cases: Annotated[int, "The number of cases in all parts."]


class MergedTestsJson(TypedDict):
    """The merged reports of tests."""

    passed: NotRequired[Annotated[int, "If there are JUnit reports."]]
    failed: NotRequired[Annotated[int, "If there are JUnit reports."]]
    skipped: NotRequired[Annotated[int, "If there are JUnit reports."]]
    coverage: NotRequired[Annotated[CoverageJson, "If there are lcov files."]]


class TestsJson(TypedDict):
    """The results of the tests."""

    ok: Annotated[bool, "Whether no case failed."]
    passed: int
    failed: int
    skipped: int
    leftOut: Annotated[int, "Cases that did not run because others have `only`."]
    durationMs: float
    cases: list[CaseJson]
    shard: NotRequired[Annotated[ShardJson, "With `--shard`."]]
    coverage: NotRequired[Annotated[CoverageJson, "If coverage was measured."]]


class ReplacementJson(TypedDict):
    """A value of a recorded case that was replaced."""

    place: Annotated[str, "The place in the case."]
    why: Annotated[str, "Why it was replaced."]
    placeholder: Annotated[str, "The new value."]


class AdditionJson(TypedDict):
    """A case that was created from a recording."""

    file: Annotated[str, "Path of the test file."]
    case: Annotated[dict[str, Any], "The case, as in the test file."]
    redactions: list[ReplacementJson]
    verdict: Annotated[str, "The result of the case with the working copy."]
    failures: Annotated[list[str], "Why it failed."]
    written: Annotated[bool, "Whether it was written without asking."]


# -- emulator ------------------------------------------------------------------------------------------------------


class ReadyJson(TypedDict):
    """The first line of `ckfunc dev`."""

    ready: Annotated[str, "Address of the emulator."]


class SeededJson(TypedDict):
    """The numbers of added rows."""

    users: int
    channels: int
    members: int
    messages: int


class SnapshotJson(TypedDict):
    """A snapshot of the emulator's data."""

    name: str
    createdTime: Annotated[str, "When it was saved (ISO 8601, UTC)."]
    sizeBytes: int


class FaultEffectJson(TypedDict):
    """The effect of a fault, and the requests that it concerns."""

    operation: Annotated[str | None, "Id of the operation; null for all."]
    status: Annotated[int | None, "Status of the error."]
    retryAfterSeconds: int | None
    delayMs: int
    lost: Annotated[bool, "Whether the response is lost."]
    ratePercent: float | None
    first: Annotated[int | None, "The number of first requests that it affects."]
    seed: Annotated[int, "Seed of the random numbers for `ratePercent`."]


class FaultJson(FaultEffectJson):
    """A fault that the emulator injects into requests."""

    id: Annotated[int, "Id of the fault, as `ckfunc emulator faults clear` takes it."]
    seen: Annotated[int, "Requests that it could have affected."]
    hits: Annotated[int, "Requests that it has affected."]


# -- chats ---------------------------------------------------------------------------------------------------------


class MessageEventJson(TypedDict):
    """A message was sent, edited or deleted."""

    event: Literal["message"]
    change: Annotated[str, "`sent`, `edited` or `deleted`."]
    id: int
    channelId: int
    user: Annotated[str | None, "Name of the user; null for the system."]
    createdTime: Annotated[str, "ISO 8601, UTC."]
    earlier: Annotated[bool, "Whether it is from before the chat."]
    parentId: NotRequired[Annotated[int, "The message that it replies to."]]
    body: NotRequired[Annotated[str | None, "Text of a text message."]]
    file: NotRequired[Annotated[dict[str, Any], "File of a file message, as the Platform API returns it."]]


class ReactionEventJson(TypedDict):
    """A user reacted to a message."""

    event: Literal["reaction"]
    user: str
    emoji: str
    messageId: int
    removed: Annotated[bool, "Whether the reaction was removed."]


class PresenceEventJson(TypedDict):
    """A user's presence or membership changed."""

    event: Literal["presence"]
    user: str
    change: Annotated[str, "`online`, `offline`, or for the channel `opened` or `closed`."]


class TypingEventJson(TypedDict):
    """A user started or stopped typing."""

    event: Literal["typing"]
    user: str
    typing: bool


class ReadEventJson(TypedDict):
    """A user read a message, or marked it as unread."""

    event: Literal["read"]
    user: str
    messageId: int
    unread: bool


class CustomEventJson(TypedDict):
    """A user or the system triggered an event of the application's own."""

    event: Literal["custom"]
    type: str
    user: str | None
    properties: dict[str, Any]


class FunctionEventJson(InvocationJson):
    """A function ran."""

    event: Literal["function"]


class SessionEventJson(TypedDict):
    """The state of the chat's own session changed."""

    event: Literal["session"]
    change: Annotated[str, "`opened`, `lost` or `restored`."]
    channelId: int | None
    reason: NotRequired[Annotated[str, "Why the connection was lost."]]


class MemberJson(TypedDict):
    """A member of a channel."""

    name: str
    online: bool


class MembersEventJson(TypedDict):
    """The members of the channel, after `/members`."""

    event: Literal["members"]
    users: list[MemberJson]


ChatEventJson = (
    MessageEventJson
    | ReactionEventJson
    | PresenceEventJson
    | TypingEventJson
    | ReadEventJson
    | CustomEventJson
    | FunctionEventJson
    | SessionEventJson
    | MembersEventJson
)
"""A line of `ckfunc chat --json`."""
