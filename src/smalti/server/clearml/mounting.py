"""Putting the protocol next to the viewer: below a path of the same port, or on ports of its own."""

from collections.abc import Mapping
from typing import Any

from smalti.errors import VersionError
from smalti.server.auth import new_key
from smalti.server.clearml.app import Api, Files
from smalti.server.clearml.doors import ShelfDoors
from smalti.server.clearml.files import MOST_BYTES, Shelf
from smalti.server.clearml.hub import Hub
from smalti.server.service import Service
from smalti.store.rows import UserRow

__all__ = ["API_PATH", "FILES_PATH", "Mounted", "applications", "environment", "key_pair", "mount"]

API_PATH, FILES_PATH = "/clearml/api", "/clearml/files"


class Mounted:
    """An ASGI application: `inner`, and before it the protocol below two paths."""

    def __init__(self, inner: Any, api: Api, files: Files) -> None:
        self.inner, self.api, self.files = inner, api, files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "") if scope["type"] == "http" else ""
        for part in (self.api, self.files):
            if path == part.prefix or path.startswith(part.prefix + "/"):
                await part(scope, receive, send)
                return
        await self.inner(scope, receive, send)


def mount(server: Any, *, max_file_bytes: int = MOST_BYTES) -> Mounted:
    """The server with the protocol below `/clearml/api` and `/clearml/files`.

    Args:
        server: a `smalti.server.app.Server`, or whatever has its `service` and is an ASGI application.
        max_file_bytes: the largest file that may be uploaded.
    """
    service: Service = server.service
    prefix = service.settings.prefix
    api, files = _parts(service, max_file_bytes, prefix + API_PATH, prefix + FILES_PATH)
    return Mounted(server, api, files)


def applications(service: Service, *, max_file_bytes: int = MOST_BYTES) -> tuple[Api, Files]:
    """The endpoints and the file server as two applications, each at the root of a port of its own."""
    return _parts(service, max_file_bytes, "", "")


def _parts(service: Service, max_file_bytes: int, api: str, files: str) -> tuple[Api, Files]:
    hub, shelf = Hub(service), Shelf(service.store.uri, max_file_bytes)
    # Frames name their uploads by the address of the file server; the viewer reads those from the shelf.
    service.doors = service.pictures.doors = ShelfDoors(service.doors, shelf, files, service.settings.names)
    return Api(hub, api), Files(hub, shelf, files)


def key_pair(service: Service, known: Mapping[str, str] | None = None) -> tuple[str, str]:
    """An access key and its secret for whoever started the server.

    Args:
        service: the server's.
        known: `CLEARML_*` variables from an earlier run, whose key is used again while it holds.
    """
    access = (known or {}).get("CLEARML_API_ACCESS_KEY", "")
    secret = (known or {}).get("CLEARML_API_SECRET_KEY", "")
    if access and secret and service.gate.by_header(f"Bearer {access}:{secret}", "smalti serve") is not None:
        return access, secret
    catalog = service.store.catalog
    if catalog.get_user(service.owner) is None:
        try:
            catalog.add_user(UserRow(name=service.owner, role="admin"))
        except VersionError:  # somebody else did, at the same moment
            catalog.get_user(service.owner)
    row, secret = new_key(service.owner)
    row.extra = {"note": "for the ClearML client"}
    catalog.add_key(row)
    service.gate.forget()
    return row.access_key, secret


def environment(api: str, files: str, web: str, keys: tuple[str, str]) -> dict[str, str]:
    """The variables that point the client at a server."""
    return {
        "CLEARML_API_HOST": api,
        "CLEARML_WEB_HOST": web,
        "CLEARML_FILES_HOST": files,
        "CLEARML_API_ACCESS_KEY": keys[0],
        "CLEARML_API_SECRET_KEY": keys[1],
    }
