"""An object store that refuses, drops connections before and after it did what was asked, or says nothing."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.catalog_places import s3_place
from tests.faulty import FAULTS, Faults, faulty

from smalti.errors import SmaltiError, StorageError
from smalti.store import Store, ingest, open_store
from smalti.testing import frame, frames

pytestmark = pytest.mark.s3


class Life:
    """A store seen through a proxy that misbehaves, and what it acknowledged."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.blobs: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.errors: list[Exception] = []

    def attempt(self, act: Callable[[], Any]) -> bool:
        try:
            act()
        except SmaltiError as error:
            self.errors.append(error)
            return False
        return True

    def step(self, number: int) -> None:
        draft, blob = self.store["data"]["draft"], str(number)
        if self.attempt(lambda: draft.update_frame(frame(number, blob=blob))):
            self.blobs[f"f{number:04d}"] = blob
        numbers = range(100 + number * 20, 140 + number * 20)  # half of them are known from the step before
        if self.attempt(lambda: draft.add_frames(frame(n, blob=blob) for n in numbers)):
            self.blobs |= {f"f{n:04d}": blob for n in numbers}
        name = f"v{number}"
        if self.attempt(lambda: self.store["data"]["root"].child(name)):
            self.versions[name] = "draft"
            if self.attempt(lambda: self.store["data"][name].publish()):
                self.versions[name] = "published"


def live(s3_address: str, kinds: tuple[str, ...], steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place = s3_place(s3_address)
    calm = open_store(place.store_uri, **place.options)
    data = calm.create_dataset("data")
    data.create_version("root").add_frames(frames(20))
    data["root"].publish().child("draft")
    monkeypatch.setattr(ingest, "FEW", 10)  # forty frames are a bulk load, in commits of thirty
    monkeypatch.setattr(ingest, "COMMITTED_AT_ONCE", 30)
    monkeypatch.setattr(ingest, "CONVERTED_AT_ONCE", 30)
    faults = Faults(11, kinds, silence_s=0.6)
    with faulty(s3_address, faults) as address:
        life = Life(open_store(place.store_uri, **(place.options | {"aws_endpoint": address, "timeout": "500ms"})))
        for number in range(steps):
            life.step(number)
    assert all(faults.counts[kind] > 0 for kind in kinds), faults.counts
    assert all(isinstance(error, StorageError) for error in life.errors), life.errors
    assert life.blobs, life.errors
    rows = Counter(data["draft"].rows().table(["id"]).column("id").to_pylist())
    assert [id_ for id_, count in rows.items() if count > 1] == []
    found = {record.id: record.blob for record in data["draft"].records()}
    assert {id_: found.get(id_) for id_ in life.blobs} == life.blobs
    for name, state in life.versions.items():
        assert state == "draft" or data[name].is_published
        assert len(data[name]) == 20
    assert calm.verify().problems == []
    assert data["draft"].add_frames(frames(10)) == []  # no lease is left behind


def test_nothing_acknowledged_is_lost(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live(s3_address, FAULTS, 1, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("kind", FAULTS)
def test_nothing_acknowledged_is_lost_in_a_longer_life(
    s3_address: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(s3_address, (kind,), 12, monkeypatch)
