"""One suite, run on a store of this process and on the same kind of store behind a server: every call gives the same."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from tests.serving import BASE, BLUE, RED, frame, make_store, scene, site

from smalti.client import RemoteDataset, RemoteStore, RemoteVersion, connect
from smalti.errors import CheckFailed, ConflictError, FrameError, QueryError, VersionError, VersionFrozen
from smalti.records import Frame
from smalti.store import Dataset, DatasetVersion, Store
from smalti.store.schema import to_rows

COUNT = 4
TOKEN = "t" * 20


@pytest.fixture(params=["local", "served"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store with "street": v1 is published, v2 is a draft child of it."""
    opened = make_store(tmp_path / "store", COUNT)
    monkeypatch.chdir(tmp_path / "store")  # what the frames' paths are relative to
    if request.param == "local":
        yield opened
        opened.close()
        return
    opened.close()
    with site(tmp_path / "store", log_in=False, token=TOKEN) as found:
        yield connect(BASE, api_key=TOKEN, client=found.client)


@pytest.mark.parametrize("one", ["e0", b"e0", {"e": 0}], ids=["str", "bytes", "dict"])
def test_one_thing_in_place_of_a_list_is_refused(store: Any, one: Any) -> None:
    draft = store["street"]["v2"]
    before = draft.frame_ids()
    draft.add_frames([frame(0) | {"id": "e"}, frame(0) | {"id": "0"}])
    for call in (draft.delete_frames, draft.get_many, draft.add_frames, draft.update_frames):
        with pytest.raises(FrameError, match=rf"is one {type(one).__name__}, allowed is a list"):
            call(one)
    assert sorted(draft.frame_ids()) == sorted([*before, "e", "0"])
    assert draft.delete_frames(["e", "0"]) == 2


@pytest.mark.parametrize("door", ["add", "jsonl", "arrow"])
def test_a_size_below_zero_is_refused(store: Any, tmp_path: Path, door: str) -> None:
    bad = frame(0) | {"id": "bad"}
    bad["sources"][0]["width"] = -4
    draft = store["street"]["v2"]
    if door == "add":
        failed = draft.add_frames([bad])
    else:
        path = tmp_path / f"frames.{door}"
        path.write_bytes(msgspec.json.encode(bad))
        if door == "arrow":
            table = pa.Table.from_batches([to_rows([msgspec.convert(bad, Frame)])])
            pa.feather.write_feather(table, path, compression="uncompressed")
        if door == "arrow" and isinstance(draft, RemoteVersion):
            with pytest.raises(FrameError, match="width is -4"):
                draft.import_file(path)
            return
        failed = draft.import_file(path)
    assert [item.id for item in failed] == ["bad"]
    assert "$.sources[0].width is -4; allowed: pixels from 0" in failed[0].error
    assert "bad" not in draft


def test_datasets_and_what_is_said_of_them(store: Any) -> None:
    street = store["street"]
    assert [dataset.name for dataset in store] == [dataset.name for dataset in store.datasets()] == ["street"]
    assert (len(store), "street" in store, "x" in store, 3 in store) == (1, True, False, False)
    assert (street.project, street.description, street.tags, street.metadata) == (None, "a street", ["demo"], {})
    made = store.create_dataset("two", "lab", description="d", tags=["a"], metadata={"k": [1]})
    assert [d.name for d in store.datasets("lab")] == ["two"]
    assert store["lab/two"].id == store[made.id].id == made.id
    assert (made.metadata, made.declared) == ({"k": [1]}, {})
    made.describe("other", tags=[], metadata={})
    assert (store["two"].description, store["two"].tags, store["two"].metadata) == ("other", [], {})
    made.rename("three")
    assert "two" not in store
    store.delete_dataset("three")
    assert len(store) == 1
    with pytest.raises(VersionError):
        store["nobody"]
    with pytest.raises(VersionError):
        store.create_dataset("street")
    with pytest.raises(VersionError):
        store.delete_dataset("street")


def test_versions_and_their_tree(store: Any) -> None:
    street = store["street"]
    first, second = street["v1"], street["v2"]
    assert [v.name for v in street] == [v.name for v in street.versions()] == ["v1", "v2"]
    assert [(depth, v.name) for depth, v in street.tree()] == [(0, "v1"), (1, "v2")]
    assert ("v1" in street, "v9" in street) == (True, False)
    assert (first.state, first.is_published, second.state, second.is_published) == ("published", True, "draft", False)
    assert [v.id for v in second.parents] == [first.id]
    assert street.version(first.id).name == "v1"
    assert street.current().id == store.version("street").id == store.version("street@v2").id == second.id
    made = street.create_version("v3", [first], description="d", tags=["t"], metadata={"k": 1})
    assert (made.description, made.tags, len(made), made.metadata["k"]) == ("d", ["t"], COUNT, 1)
    made.rename("v4")
    made.describe("other", tags=["u"])
    made.set_metadata({"k": 2})
    again = street["v4"]
    assert (again.description, again.tags, again.metadata["k"]) == ("other", ["u"], 2)
    street.delete_version("v4")
    assert "v4" not in street
    with pytest.raises(VersionError):
        street["v9"]
    with pytest.raises(VersionError):
        street.delete_version("v1")


def test_frames_are_read(store: Any) -> None:
    version = store["street"]["v1"]
    ids = [f"f{n}" for n in range(COUNT)]
    assert (len(version), version.frame_ids(), [f.id for f in version]) == (COUNT, ids, ids)
    assert (
        [f.id for f in version.frames()] == [r.id for r in version.records()] == [r.id for r in version.scan()] == ids
    )
    assert ("f0" in version, "none" in version, 3 in version) == (True, False, False)
    assert [r.id for r in version.get_many(["f2", "none", "f0", "f2"])] == ["f2", "f0", "f2"]
    assert version.get("f1").metadata == version.get_record("f1").meta == frame(1)["meta"]
    assert len(version.etag("f1")) == 16
    assert sum(len(table) for table in version.tables(3)) == COUNT
    with pytest.raises(FrameError):
        version.get("none")
    with pytest.raises(FrameError):
        version.etag("none")


def test_pixels_and_views(store: Any) -> None:
    version = store["street"]["v1"]
    handle = version.get("f1")
    truth = scene(1)
    assert np.array_equal(handle.image(), truth["image"])
    assert np.array_equal(handle.label_map("seg").data, truth["labels"])
    assert np.array_equal(handle.label_map("objects").ids, truth["ids"])
    assert np.array_equal(handle.alpha("matte"), truth["alpha"])
    assert [f.id for f in version.view("meta.city:Ravenna")] == ["f1", "f3"]
    view = version.view("label:car").map_labels({"car": 1, "road": 2}, void=255)
    assert len(view) == COUNT
    with pytest.raises(QueryError):
        list(version.view("label:("))


def test_a_draft_is_edited(store: Any) -> None:
    draft = store["street"]["v2"]
    told: list[int] = []
    failed = draft.add_frames([frame(0, id="new"), {"id": "bad", "sources": []}], progress=told.append)
    assert [(item.id, item.kind) for item in failed] == [("bad", "validation")]
    assert told
    assert told[-1] >= 1
    etag = draft.etag("new")
    later = draft.update_frame(frame(0, id="new", meta={"k": 1}), if_match=etag)
    assert draft.etag("new") == later != etag
    with pytest.raises(ConflictError):
        draft.update_frame(frame(0, id="new", meta={"k": 2}), if_match=etag)
    assert draft.update_frames([frame(1, meta={})]) == []
    assert draft.get("f1").metadata == {}
    assert draft.delete_frames(["new", "none", draft.get("f2")]) == 2
    assert draft.frame_ids() == ["f0", "f1", "f3"]
    for call in (draft.parents[0].update_frame, lambda f: draft.parents[0].add_frames([f])):
        with pytest.raises(VersionFrozen):
            call(frame(0))


def test_legends_facts_and_counts(store: Any) -> None:
    draft = store["street"]["v2"]
    assert draft.get_masks_labels() == {}
    assert draft.legend() is None
    draft.set_masks_labels({RED: "car", BLUE: "road"})
    assert draft.legend().labels == draft.legend("seg").labels == ["car", "road"]
    assert set(draft.get_masks_labels()) == {"_all_"}
    assert draft.compute_facts() == []
    found = draft.compute_stats()
    assert (found["frames"], found["rois"], found["frames_with_facts"]) == (COUNT, 3 * COUNT, COUNT)
    assert found["frames_per_label"] == {"car": COUNT, "road": COUNT, "vehicle": COUNT}
    assert (draft.stats, draft.report) == ({}, None)
    draft.publish("errors", force=True)
    assert draft.stats["frames"] == COUNT
    assert draft.report["frames"] == COUNT
    assert draft.report["ok"] is (draft.report["counts"] == {})


def test_a_checked_publish_is_refused(store: Any) -> None:
    draft = store["street"]["v2"]
    Path("files/f1_seg.png").unlink()
    with pytest.raises(CheckFailed) as caught:
        draft.publish("errors")
    assert caught.value.report.counts()["file-missing"] == 1
    assert "files/f1_seg.png" in caught.value.report.findings[0].where
    assert draft.state == "draft"
    draft.publish()
    assert draft.is_published
    with pytest.raises(VersionError):
        draft.publish()


def test_life_goes_on_in_children_and_snapshots(store: Any) -> None:
    draft = store["street"]["v2"]
    following = draft.snapshot("monday")
    assert (following.name, following.state) == ("v2", "draft")
    assert store["street"]["monday"].is_published
    child = store["street"]["v1"].child("side", description="x")
    assert (child.description, len(child)) == ("x", COUNT)
    child.delete()
    assert "side" not in store["street"]


def test_differences(store: Any) -> None:
    street = store["street"]
    draft = street["v2"]
    draft.delete_frames(["f0"])
    draft.add_frames([frame(0, id="new"), frame(1, meta={"city": "Rome"})])
    diff = street.diff("v1", draft)
    assert (diff.added, diff.removed, diff.changed, len(diff)) == (["new"], ["f0"], ["f1"], 3)
    (one,) = diff.frames()
    assert one.id == "f1"
    assert {(change.kind, change.path) for change in one.changes} == {
        ("changed", "meta.city"),
        ("removed", "meta.rain"),
    }
    assert [c.path for c in diff.frame("f1").meta] == [c.path for c in one.meta]
    assert diff.frame("f0").after is None
    with pytest.raises(VersionError):
        diff.frame("none")


def test_merges(store: Any) -> None:
    street = store["street"]
    ours, theirs = street["v2"], street["v1"].child("theirs")
    ours.update_frame(frame(0, meta={"by": "us"}))
    theirs.update_frame(frame(1, meta={"by": "them"}))
    merged = street.merge(ours, theirs)
    assert merged.id == ours.id
    assert (merged.get("f0").metadata, merged.get("f1").metadata) == ({"by": "us"}, {"by": "them"})
    theirs.update_frame(frame(0, meta={"by": "them"}))
    with pytest.raises(ConflictError):
        street.merge("v2", "theirs")
    street.merge("v2", "theirs", rule="theirs")
    assert ours.get("f0").metadata == {"by": "them"}


def test_vectors_and_declared_columns(store: Any) -> None:
    street = store["street"]
    draft = street["v2"]
    vectors = np.random.default_rng(5).normal(size=(6, 8))
    draft.add_frames([frame(0, id=f"v{n}", meta={"look": vectors[n].tolist()}) for n in range(6)])
    order = np.argsort(-(vectors @ vectors[2]) / np.linalg.norm(vectors, axis=1))
    found = draft.nearest(vectors[2].tolist(), 3, "meta.look")
    assert [id_ for id_, _ in found] == [f"v{n}" for n in order[:3]]
    assert found[0][1] == pytest.approx(1)
    assert [id_ for id_, _ in draft.nearest("v2", 2, "meta.look")] == [f"v{n}" for n in order[1:3]]
    street.declare("meta.rain", "float")
    assert street.declared == {"meta.rain": "float"}


@pytest.mark.parametrize("ending", ["jsonl", "arrow", "parquet"])
def test_files_in_and_out(store: Any, tmp_path: Path, ending: str) -> None:
    version = store["street"]["v1"]
    path = tmp_path / f"frames.{ending}"
    assert version.export_file(path) == COUNT
    fresh = store.create_dataset("fresh").create_version("a")
    assert fresh.import_file(path) == []
    assert [f.to_dict() for f in fresh] == [f.to_dict() for f in version]


_INSIDE = {
    # of the engine and the catalog: what nobody outside the store calls
    "engine",
    "engine_of",
    "make",
    "check_made",
    "reopen",
    "catalog",
    "writing",
    "require_draft",
    "lease",
    "rows",
    "change_draft",
    "rebuilt",
}


@pytest.mark.parametrize(
    ("here", "there"), [(Store, RemoteStore), (Dataset, RemoteDataset), (DatasetVersion, RemoteVersion)]
)
def test_no_name_and_no_argument_is_missing(here: type, there: type) -> None:
    missing: list[str] = []
    for name in [name for name in vars(here) if not name.startswith("_") and name not in _INSIDE]:
        if not hasattr(there, name):
            missing.append(name)
            continue
        ours, theirs = inspect.getattr_static(here, name), inspect.getattr_static(there, name)
        if not inspect.isfunction(ours) or not inspect.isfunction(theirs):
            continue
        accepted = inspect.signature(theirs).parameters
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values())
        wanted = set(inspect.signature(ours).parameters)
        missing += [f"{name}({extra})" for extra in wanted - set(accepted) if not takes_any]
    # A condition in the engine's own language has no meaning over HTTP; `search` takes a query.
    assert missing == (["records(where)"] if here is DatasetVersion else [])
