"""Who writes: the name in the audit trail, and what a lease says of its holder."""

import getpass
import os
import socket

__all__ = ["process_name", "user_name"]


def user_name() -> str:
    """The user of this process; in containers there may be no name for the user id."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def process_name() -> str:
    """Which process of whom, on which machine, for people who look for one that hangs."""
    return f"{user_name()} on {socket.gethostname()} (process {os.getpid()})"
