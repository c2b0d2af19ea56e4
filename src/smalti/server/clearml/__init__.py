"""A server for the hyper-dataset part of ClearML's open client protocol, on the same store as everything else.

An independent implementation of a published client's protocol, with no affiliation.
"""

from smalti.server.clearml.mounting import API_PATH, FILES_PATH, Mounted, applications, environment, key_pair, mount
from smalti.server.clearml.serving import serve_apart, variables

__all__ = [
    "API_PATH",
    "FILES_PATH",
    "Mounted",
    "applications",
    "environment",
    "key_pair",
    "mount",
    "serve_apart",
    "variables",
]
