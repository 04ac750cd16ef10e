"""Imports and exports, and the jobs that they start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from ckfunc.emulator.actions import access
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_reply, page_request
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.jobs import Attempt, Work, entries, export, is_array
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import imports, jobs
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, Turn
from ckfunc.model.chat import ChannelType
from ckfunc.model.job import Job, JobType, MemberImport
from ckfunc.wire.jobs import read_channel_import, read_member_import, read_message_import, read_user_import, write_job

T = TypeVar("T")

_ACCEPTED = 202


def import_users(call: Call, services: EmulatorServices) -> Reply:
    """Start to create the users in a file."""
    return _import(call, services, JobType.USER_IMPORT, read_user_import, imports.add_users)


def import_channels(call: Call, services: EmulatorServices) -> Reply:
    """Start to create the channels in a file, with their members."""
    return _import(call, services, JobType.CHANNEL_IMPORT, read_channel_import, imports.add_channels)


def import_channel_members(call: Call, services: EmulatorServices) -> Reply:
    """Start to make the users in a file members of a channel."""
    channel = access.channel(services.database, call.id())
    if channel.type is ChannelType.DIRECT:
        raise Refused("users cannot be added to a direct channel; create another channel")

    def add(database: Database, members: Iterable[MemberImport], job_id: int, turn: Turn) -> Steps:
        return imports.add_members(database, channel.id, members, job_id, turn)

    return _import(call, services, JobType.CHANNEL_MEMBERS_IMPORT, read_member_import, add)


def import_messages(call: Call, services: EmulatorServices) -> Reply:
    """Start to create the messages in a file."""
    return _import(call, services, JobType.MESSAGE_IMPORT, read_message_import, imports.add_messages)


def export_message_analytics(call: Call, services: EmulatorServices) -> Reply:
    """Start to write a file about all messages."""
    work = partial(export, name="message-analytics", rows=jobs.message_analytics)
    return _begin(call, services, JobType.MESSAGE_ANALYTICS_EXPORT, work)


def export_user_analytics(call: Call, services: EmulatorServices) -> Reply:
    """Start to write a file about all users."""
    work = partial(export, name="user-analytics", rows=jobs.user_analytics)
    return _begin(call, services, JobType.MESSAGE_ANALYTICS_EXPORT, work)


def list_jobs(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the jobs that have ended, or of those in progress."""
    running = call.flag("running") or False
    page = jobs.page(services.database, page_request(call, jobs.SORTING), running=running)
    filters = (("running", "true" if running else "false"),)
    return page_reply(call, "jobs", page, write_job, filters)


def retrieve_job(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a job."""
    return Reply(write_job(_job(call, services), call.links))


def explain_job(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a job and the reason why it FAILED, which the platform does not provide."""
    job = _job(call, services)
    return Reply({**write_job(job, call.links), "failure": jobs.failure(services.database, job.id)})


def _job(call: Call, services: EmulatorServices) -> Job:
    return access.existing(jobs.get(services.database, call.id()), "job", call.id())


def _import(
    call: Call,
    services: EmulatorServices,
    kind: JobType,
    read: Callable[[Any], T],
    add: Callable[[Database, Iterable[T], int, Turn], Steps],
) -> Reply:
    """Start a job that reads the entries of an uploaded file with `read`, and stores them with `add`."""
    content = call.upload().content
    if not is_array(content):
        raise Refused("the file in field 'file' is not a JSON array")

    def work(attempt: Attempt) -> Steps:
        return add(attempt.database, entries(content, read), attempt.job_id, attempt.turn)

    return _begin(call, services, kind, work)


def _begin(call: Call, services: EmulatorServices, kind: JobType, work: Work) -> Reply:
    return Reply(write_job(services.jobs.start(kind, work), call.links), _ACCEPTED)


ROUTES = (
    Route("POST", "/imports/users", import_users, body_bytes=UPLOAD_BYTES),
    Route("POST", "/imports/channels", import_channels, body_bytes=UPLOAD_BYTES),
    Route("POST", "/imports/channels/{id}/members", import_channel_members, body_bytes=UPLOAD_BYTES),
    Route("POST", "/imports/messages", import_messages, body_bytes=UPLOAD_BYTES),
    Route("POST", "/analytics/messages", export_message_analytics),
    Route("POST", "/analytics/users", export_user_analytics),
    Route("GET", "/jobs", list_jobs),
    Route("GET", "/jobs/{id}", retrieve_job),
    Route("GET", "/emulator/jobs/{id}", explain_job, Access.CONTROL),
)
