"""Who has read which message, and how much is unread."""

from __future__ import annotations

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.paging import page_request
from ckfunc.emulator.http.replies import Reply, page_reply
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.resources import references
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import receipts
from ckfunc.wire.channels import write_receipt, write_unread_summary


def list_message_read_receipts(call: Call, services: Services) -> Reply:
    """Answer with a page of a message's read receipts."""
    message = references.message(services.database, call.id())
    request = page_request(call, receipts.SORTABLE, receipts.DEFAULT_ORDER)
    page = receipts.page(services.database, message.id, request)
    items = [write_receipt(one, call.links) for one in page.items]
    return page_reply(call, "receipts", page, items, request=request)


def retrieve_application_message_read_receipt_summaries(call: Call, services: Services) -> Reply:
    """Answer with a page of how many messages each member of each channel has not read."""
    request = page_request(call, receipts.SUMMARIES_SORTABLE, receipts.SUMMARIES_ORDER)
    page = receipts.summaries_page(services.database, request)
    items = [write_unread_summary(one, call.links) for one in page.items]
    return page_reply(call, "summaries", page, items, request=request)


ROUTES = (
    Route("GET", "/messages/{id}/read-receipts", list_message_read_receipts),
    Route(
        "GET",
        "/application/message-read-receipt-summaries",
        retrieve_application_message_read_receipt_summaries,
    ),
)
