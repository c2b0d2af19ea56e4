"""Where a catalog may lie, as fixtures: SQLite, PostgreSQL, objects in memory and on an S3 emulator."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import obstore.store
import pytest

from smalti.store.catalog import Catalog, Opener
from smalti.store.catalog_objects import ObjectsBackend
from smalti.store.rows import DatasetRow, VersionRow

NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class InMemory:
    """Objects of this process; several catalogs on one of these are several clients."""

    store: obstore.store.MemoryStore

    def __call__(self) -> ObjectsBackend:
        return ObjectsBackend(self.store, "memory://")


@dataclass
class Place:
    """Where a catalog lies, and whether other processes can get there."""

    opener: Callable[[], Any]


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """An S3 emulator that serves one request at a time, so that a conditional put is as atomic as on S3."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            """Nothing: one line a request is too much."""

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def s3_place(address: str) -> Opener:
    options = {
        "aws_endpoint": address,
        "aws_region": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    bucket = f"b{uuid4().hex}"
    http = obstore.store.HTTPStore.from_url(address, client_options={"allow_http": True})
    obstore.put(http, bucket, b"", use_multipart=False)  # PUT /bucket makes it
    return Opener(f"s3://{bucket}/some/store", None, options | {"allow_http": "true"})


SHARED = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("s3", marks=pytest.mark.s3),
]
"""The places that several processes can open; objects in the memory of one process are not among them."""


@pytest.fixture(params=[*SHARED, "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(Opener(str(tmp_path / "store")))
    if request.param == "postgres":
        return Place(Opener(str(tmp_path / "store"), request.getfixturevalue("postgres_database")()))
    if request.param == "s3":
        return Place(s3_place(request.getfixturevalue("s3_address")))
    return Place(InMemory(obstore.store.MemoryStore()))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(place: Place, clock: Clock) -> Iterator[Catalog]:
    with Catalog(place.opener, clock=clock) as opened:
        yield opened


def a_version(catalog: Catalog, **fields: Any) -> VersionRow:
    dataset = catalog.create_dataset(DatasetRow(name=f"d{uuid4().hex}"))
    return catalog.create_version(VersionRow(dataset=dataset.uuid, **({"name": "v1"} | fields)))
