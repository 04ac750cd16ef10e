"""Read receipts and summaries of what is unread, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import ReadReceipt, UnreadSummary
from ckfunc.wire.channels import write_embedded_channel
from ckfunc.wire.links import Links, linked_id
from ckfunc.wire.reading import moment, required, resource
from ckfunc.wire.users import read_user, write_embedded_user


def write_receipt(receipt: ReadReceipt, links: Links) -> dict[str, Any]:
    """Return a read receipt as the platform shows it, in canonical spelling."""
    return {
        "user": write_embedded_user(receipt.user, links),
        "createdTime": timestamp(receipt.created_time),
        "_links": links.to(user=f"users/{receipt.user.id}", message=f"messages/{receipt.message_id}"),
    }


def read_receipt(document: Any) -> ReadReceipt:
    """Read a read receipt in either spelling; raises Malformed."""
    found = resource(document, "receipt")
    return ReadReceipt(
        linked_id(found, "message"), read_user(required(found, "user", dict)), moment(found, "createdTime")
    )


def write_unread_summary(summary: UnreadSummary, links: Links) -> dict[str, Any]:
    """Return how much a member has not read of a channel, in canonical spelling."""
    return {
        "user": write_embedded_user(summary.user, links),
        "channel": write_embedded_channel(summary.channel, links),
        "count": summary.count,
        "_links": links.to(user=f"users/{summary.user.id}", channel=f"channels/{summary.channel.id}"),
    }
