"""A store behind a server, with the interface of a local one: `smalti.open("http://...")`."""

from smalti.client.store import RemoteDataset, RemoteStore, connect
from smalti.client.version import RemoteVersion

__all__ = ["RemoteDataset", "RemoteStore", "RemoteVersion", "connect"]
