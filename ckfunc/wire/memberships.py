"""Memberships of channels and invites to them, to and from JSON: neither has an id, only links."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import Invite, Membership
from ckfunc.model.user import UserReference
from ckfunc.wire.links import Links, linked_id
from ckfunc.wire.reading import moment, required, resource
from ckfunc.wire.users import read_reference


def write_membership(membership: Membership, links: Links) -> dict[str, Any]:
    """Return a membership as the platform shows it, in canonical spelling."""
    channel = f"channels/{membership.channel_id}"
    user = membership.user_id
    at = links.to(user=f"users/{user}", channel=channel, member=f"{channel}/members/{user}")
    return {"createdTime": timestamp(membership.created_time), "_links": at}


def read_membership(document: Any) -> Membership:
    """Read a membership in either spelling; raises Malformed."""
    found = resource(document, "membership")
    return Membership(linked_id(found, "channel"), linked_id(found, "user"), moment(found, "createdTime"))


def write_invite(invite: Invite, links: Links) -> dict[str, Any]:
    """Return an invite as the platform shows it, in canonical spelling."""
    at = links.to(invitee=f"users/{invite.invitee_id}", channel=f"channels/{invite.channel_id}")
    return {"createdTime": timestamp(invite.created_time), "_links": at}


def read_invite(document: Any) -> Invite:
    """Read an invite in either spelling; raises Malformed."""
    found = resource(document, "invite")
    return Invite(linked_id(found, "channel"), linked_id(found, "invitee"), moment(found, "createdTime"))


def read_new_invite(document: Any) -> UserReference:
    """Read the body that invites a user, and return who that is. Raises Malformed."""
    return read_reference(required(resource(document, "invite"), "user", dict), "field 'user'")
