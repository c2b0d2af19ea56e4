"""Local code runs against a server unchanged: each call gives what the local store gives."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving import BASE, Site, frame, make_store, scene, site

from smalti.client import RemoteStore, connect
from smalti.client.http import Http
from smalti.errors import (
    AccessDenied,
    ConflictError,
    DecodeError,
    FrameError,
    MaskReferenceError,
    QueryError,
    StorageError,
    VersionError,
    VersionFrozen,
)
from smalti.frames import FrameGroup
from smalti.store import Store


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    make_store(tmp_path, 3).close()
    with site(tmp_path, log_in=False, token="t" * 20) as found:
        yield found


@pytest.fixture
def remote(here: Site) -> RemoteStore:
    return connect(BASE, api_key="t" * 20, client=here.client)


@pytest.fixture
def local(here: Site) -> Store:
    return here.server.service.store


def test_datasets_and_versions(remote: RemoteStore, local: Store) -> None:
    assert len(remote) == 1
    assert "street" in remote
    assert "none" not in remote
    there, here = remote["street"], local["street"]
    assert (there.id, there.name, there.project, there.description, there.tags) == (
        here.id,
        here.name,
        here.project,
        here.description,
        here.tags,
    )
    assert [(depth, v.name, v.state) for depth, v in there.tree()] == [(d, v.name, v.state) for d, v in here.tree()]
    assert there.current().id == here.current().id
    assert there["v2"].parents[0].id == here["v1"].id
    assert remote.version("street@v1").id == here["v1"].id


def test_frames(remote: RemoteStore, local: Store) -> None:
    there, here = remote["street"]["v1"], local["street"]["v1"]
    assert len(there) == len(here)
    assert there.frame_ids() == here.frame_ids()
    assert [f.to_dict() for f in there] == [f.to_dict() for f in here]
    assert there.get("f1").to_dict() == here.get("f1").to_dict()
    assert there.etag("f1") == here.etag("f1")
    assert "f1" in there
    assert "none" not in there
    assert [f.id for f in there.get_many(["f2", "none", "f0"])] == ["f2", "f0"]
    assert there.compute_stats()["frames_per_label"] == here.compute_stats()["frames_per_label"]


@pytest.mark.parametrize("query", ["label:car", "meta.city:Bremen", "NOT label:car", "meta.rain:>0.1"])
def test_views(remote: RemoteStore, local: Store, query: str) -> None:
    there, here = remote["street"]["v1"], local["street"]["v1"]
    expected = [f.id for f in here.view(query)]
    assert [f.id for f in there.view(query)] == expected
    assert [f.id for f in there.search(query)] == expected


def test_pixels(remote: RemoteStore, local: Store) -> None:
    handle: Any = remote["street"]["v1"].get("f1")
    truth = scene(1)
    np.testing.assert_array_equal(handle.image(), truth["image"])
    seg = handle.label_map("seg")
    np.testing.assert_array_equal(seg.data, truth["labels"])
    assert seg.counts() == {
        "car": int((truth["labels"] == 1).sum()),
        "vehicle": int((truth["labels"] == 1).sum()),
        "road": int((truth["labels"] == 2).sum()),
    }
    np.testing.assert_array_equal(seg["road"], truth["labels"] == 2)
    np.testing.assert_array_equal(handle.label_map("objects").ids, truth["ids"])
    np.testing.assert_array_equal(handle.alpha("matte"), truth["alpha"])
    assert (seg.policy, seg.mode, seg.codec) == ("exact", "RGB", "png")
    with pytest.raises(MaskReferenceError):
        handle.label_map("none")
    with pytest.raises(DecodeError):
        handle.label_map("matte")


def test_groups(remote: RemoteStore) -> None:
    document = frame(0, id="pair")
    second = {**document["sources"][0], "id": "rear", "uri": "files/f1.png"}
    second["masks"] = [{"id": "seg", "uri": "files/f1_seg.png"}]
    document["sources"].append(second)
    for roi in document["rois"]:
        roi["sources"] = ["front"]
    draft = remote["street"]["v2"]
    assert draft.add_frames([document]) == []
    group = draft.get("pair")
    assert isinstance(group, FrameGroup)
    np.testing.assert_array_equal(group["rear"].image(), scene(1)["image"])
    np.testing.assert_array_equal(group["front"].label_map("seg").data, scene(0)["labels"])


def test_a_draft_is_written_and_published(remote: RemoteStore, local: Store) -> None:
    made = remote.create_dataset("new", "project", tags=["x"]).create_version("v1")
    failed = made.add_frames([frame(n) for n in range(3)] + [{"id": "bad", "sources": []}])
    assert len(failed) == 1
    made.set_masks_labels({(9, 9, 9): "ghost"})
    etag = made.etag("f0")
    new = made.update_frame(frame(0, meta={"k": 1}), if_match=etag)
    assert made.etag("f0") == new
    with pytest.raises(ConflictError):
        made.update_frame(frame(0, meta={"k": 2}), if_match=etag)
    assert made.delete_frames(["f2", "none"]) == 1
    made.publish()
    child = made.child("v2")
    child.delete_frames(["f1"])
    diff = remote["new"].diff("v1", "v2")
    assert (diff.added, diff.removed, diff.changed) == ([], ["f1"], [])
    stored = local["new"]["v1"]
    assert stored.is_published
    assert stored.frame_ids() == ["f0", "f1"]
    assert stored.get("f0").metadata == {"k": 1}
    assert stored.legend().labels == ["ghost"]  # type: ignore[union-attr]
    child.delete()
    remote.delete_dataset("new", force=True)
    assert "new" not in local


def test_errors_are_those_of_a_local_store(remote: RemoteStore, here: Site) -> None:
    published = remote["street"]["v1"]
    cases: list[tuple[type[Exception], Any]] = [
        (VersionError, lambda: remote["none"]),
        (VersionError, lambda: remote["street"]["none"]),
        (FrameError, lambda: published.get("none")),
        (VersionFrozen, lambda: published.update_frame(frame(0))),
        (QueryError, lambda: list(published.search("label:("))),
        (VersionError, lambda: remote.create_dataset("street")),
        (AccessDenied, lambda: connect(BASE, api_key="wrong", client=here.client)),
    ]
    for kind, call in cases:
        with pytest.raises(kind):
            call()
    with pytest.raises(QueryError) as caught:
        list(published.search("label:("))
    assert caught.value.text == "label:("


def test_nobody_there() -> None:
    with pytest.raises(StorageError, match="does not answer"):
        connect("http://127.0.0.1:9", api_key="x")


def test_a_store_travels_as_its_address() -> None:
    http = pickle.loads(pickle.dumps(Http("http://example.org/smalti/", "a:b")))
    assert (http.base, http.api_key) == ("http://example.org/smalti", "a:b")
