"""Client of the Platform API.

Importing this package is cheap: httpx is only imported when a client is created.
"""

from ckfunc.api.client import Client
from ckfunc.api.connection import Connection, connection_from_environment
from ckfunc.api.sender import Wait

__all__ = ["Client", "Connection", "Wait", "connection_from_environment"]
