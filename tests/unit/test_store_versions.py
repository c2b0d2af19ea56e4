"""Datasets and versions: what can be done with them, and that a published one never changes."""

import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smalti import SingleFrame, wire
from smalti.errors import CheckFailed, ConflictError, FrameError, LegendError, VersionError, VersionFrozen
from smalti.legend import Legend
from smalti.store import Dataset, DatasetVersion, Failed, Store, default_store_uri, ingest, open_store
from smalti.testing import frame, frames

replace = msgspec.structs.replace


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def data(store: Store) -> Dataset:
    return store.create_dataset("drive")


@pytest.fixture
def draft(data: Dataset) -> DatasetVersion:
    version = data.create_version("v1")
    assert version.add_frames(frames(6)) == []
    return version


# ------------------------------------------------------------------------------------------------------- datasets
def test_datasets_are_found_by_name_project_and_id(store: Store) -> None:
    one, other = store.create_dataset("drive"), store.create_dataset("drive", "road", description="d", tags=["t"])
    assert store["drive"].id == one.id
    assert store["road/drive"].id == store[other.id].id == other.id
    assert (other.description, other.tags, other.project) == ("d", ["t"], "road")
    assert [found.id for found in store.datasets()] == [one.id, other.id]
    assert [found.id for found in store.datasets("road")] == [other.id]
    assert "drive" in store
    assert "else" not in store


def test_names_are_unique_in_a_project_and_nothing_is_left_of_a_refused_one(store: Store, tmp_path: Path) -> None:
    store.create_dataset("drive", "road")
    with pytest.raises(VersionError, match="'drive' of project 'road' is there already"):
        store.create_dataset("drive", "road")
    assert len(list((tmp_path / "store").glob("*.lance"))) == 1


def test_a_missing_dataset_or_version_names_those_that_exist(store: Store, data: Dataset) -> None:
    with pytest.raises(VersionError, match="'drive'"):
        store["nope"]
    data.create_version("v1")
    with pytest.raises(VersionError, match="no version 'v2'; it has 'v1'"):
        data["v2"]


def test_an_ambiguous_name_is_refused(store: Store) -> None:
    store.create_dataset("drive", "a")
    store.create_dataset("drive", "b")
    with pytest.raises(VersionError, match="ambiguous: a/drive, b/drive"):
        store["drive"]


def test_the_default_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path / "here"))
    assert default_store_uri() == str(tmp_path / "here")
    monkeypatch.delenv("SMALTI_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_store_uri() == str(tmp_path / "data" / "smalti")


def test_a_store_pickles_and_opens_again(store: Store, draft: DatasetVersion) -> None:
    again = pickle.loads(pickle.dumps(store))
    assert [record.id for record in again["drive"]["v1"].records()] == [f.id for f in frames(6)]
    assert len(pickle.loads(pickle.dumps(draft))) == 6


# --------------------------------------------------------------------------------------------------------- frames
def test_frames_come_back_in_order_of_context_timestamp_and_id(data: Dataset) -> None:
    version = data.create_version("v")
    given = [frame(2), frame(150), frame(1), frame(3, timestamp=1), frame(0, context_id="z")]
    assert version.add_frames(given) == []
    assert [record.id for record in version.records()] == ["f0001", "f0003", "f0002", "f0150", "f0000"]
    assert version.frame_ids() == [handle.id for handle in version.frames()]
    assert len(version) == 5
    assert "f0001" in version
    assert "f9" not in version


def test_a_frame_with_a_known_id_is_replaced(draft: DatasetVersion) -> None:
    newer = frame(1, blob="new")
    assert draft.add_frames([newer, frame(9)]) == []
    assert len(draft) == 7
    assert draft.get_record("f0001") == newer


def test_the_last_of_two_frames_with_one_id_counts(draft: DatasetVersion) -> None:
    draft.add_frames([frame(7, blob="first"), frame(7, blob="last")])
    assert draft.get_record("f0007").blob == "last"
    assert len(draft) == 7


def test_every_shape_of_frame_is_taken(data: Dataset) -> None:
    version = data.create_version("v")
    handle = SingleFrame("a.png", mask_source="m.png", metadata={"k": 1})
    handle.add_annotation(mask_rgb=(1, 2, 3), labels=["car"])
    plain = wire.to_dict(frame(1))
    assert version.add_frames([handle, plain, json.dumps(wire.to_dict(frame(2))), frame(3)]) == []
    assert set(version.frame_ids()) == {handle.id, "f0001", "f0002", "f0003"}
    assert version.get(handle.id).annotations[0].labels == ["car"]


def test_what_a_frame_leaves_out_is_filled_from_its_first_source(data: Dataset) -> None:
    version = data.create_version("v")
    bare = frame(5, id=None, context_id=None, timestamp=None)
    bare.sources[0].timestamp = 40
    version.add_frames([bare])
    (found,) = version.records()
    assert (found.id, found.context_id, found.timestamp) == (wire.stable_id(bare), "s3://b/5.png", 40)
    assert bare.id is None


def test_what_cannot_be_stored_is_listed_with_reasons(data: Dataset) -> None:
    version = data.create_version("v")
    group = frame(4)
    group.sources.append(replace(group.sources[0], id="rear", width="wide"))  # type: ignore[arg-type]
    failed = version.add_frames([frame(1), {"id": "empty", "sources": []}, 5, group, {"id": 7, "sources": 3}, frame(2)])
    assert [(item.id, item.kind) for item in failed] == [
        ("empty", "validation"),
        (None, "validation"),
        ("f0004", "validation"),
        ("7", "validation"),
    ]
    assert all(isinstance(item, Failed) and item.error for item in failed)
    assert version.frame_ids() == ["f0001", "f0002"]  # the group is registered whole or not at all


def test_many_frames_go_in_as_a_bulk_load(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FEW", 10)
    monkeypatch.setattr(ingest, "CONVERTED_AT_ONCE", 16)
    monkeypatch.setattr(ingest, "COMMITTED_AT_ONCE", 40)
    version = data.create_version("v")
    told: list[int] = []
    version.add_frames(frames(5))
    stream = [*frames(100), *(frame(number, blob="again") for number in range(50, 120)), frame(3, blob="once more")]
    assert version.add_frames(iter(stream), progress=told.append) == []
    wanted = {item.id: item for item in stream}
    assert list(version.records()) == sorted(wanted.values(), key=lambda f: (f.context_id, f.timestamp, f.id))
    assert told[-1] == len(stream)
    assert version.dataset.catalog.get_lease(version.id) is None


@pytest.mark.parametrize("again", [3, 250, 390])
def test_a_long_bulk_load_knows_every_id_that_came_before(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    monkeypatch.setattr(ingest, "FEW", 2)
    monkeypatch.setattr(ingest, "CONVERTED_AT_ONCE", 5)
    monkeypatch.setattr(ingest, "COMMITTED_AT_ONCE", 5)  # 80 runs of ids: some of the second level, some of the first
    version = data.create_version("v")
    version.add_frames([*frames(400), frame(again, blob="again")])
    assert len(version) == 400
    assert [record.id for record in version.records() if record.blob == "again"] == [f"f{again:04d}"]


def test_two_bulk_loads_at_once_are_refused(draft: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FEW", 2)
    with draft.lease("somebody else"), pytest.raises(VersionError, match="somebody else"):
        draft.add_frames(frames(5))
    assert draft.add_frames(frames(5)) == []


def test_frames_are_deleted_by_id(draft: DatasetVersion) -> None:
    assert draft.delete_frames(["f0001", "nope", frame(2)]) == 2
    assert draft.frame_ids() == ["f0000", "f0003", "f0004", "f0005"]
    with pytest.raises(FrameError, match="no frame 'f0001'"):
        draft.get("f0001")


def test_get_many_keeps_the_order_asked(draft: DatasetVersion) -> None:
    assert [record.id for record in draft.get_many(["f0004", "x", "f0000", "f0004"])] == ["f0004", "f0000", "f0004"]


# ------------------------------------------------------------------------------------------------ optimistic saves
def test_a_save_from_what_was_read_succeeds_once(draft: DatasetVersion) -> None:
    etag = draft.etag("f0001")
    newer = draft.update_frame(frame(1, blob="mine"), if_match=etag)
    assert newer == draft.etag("f0001") != etag
    with pytest.raises(ConflictError, match="somebody changed it") as caught:
        draft.update_frame(frame(1, blob="theirs"), if_match=etag)
    assert caught.value.conflicts == ("f0001",)
    assert draft.get_record("f0001").blob == "mine"
    draft.update_frame(frame(1))
    assert draft.etag("f0001") == etag  # the etag is of the content


def test_a_save_of_a_frame_that_is_gone_conflicts(draft: DatasetVersion) -> None:
    etag = draft.etag("f0001")
    draft.delete_frames(["f0001"])
    with pytest.raises(ConflictError, match="not there"):
        draft.update_frame(frame(1, blob="x"), if_match=etag)
    assert "f0001" not in draft
    with pytest.raises(ConflictError, match="no etag"):
        draft.update_frame(frame(1), if_match="W/xyz")


# ------------------------------------------------------------------------------------------------------ publishing
DOORS: dict[str, Callable[[DatasetVersion], Any]] = {
    "add": lambda v: v.add_frames([frame(99)]),
    "add nothing": lambda v: v.add_frames([]),
    "update": lambda v: v.update_frames([frame(1, blob="x")]),
    "save": lambda v: v.update_frame(frame(1, blob="x")),
    "optimistic save": lambda v: v.update_frame(frame(1, blob="x"), if_match="0"),
    "delete": lambda v: v.delete_frames(["f0001"]),
    "bulk": lambda v: v.add_arrow([]),
    "legend": lambda v: v.set_masks_labels({(1, 2, 3): "car"}),
    "metadata": lambda v: v.set_metadata({"a": 1}),
    "facts": lambda v: v.compute_facts(),
    "publish": lambda v: v.publish(),
    "merge": lambda v: v.change_draft(parents=[], extra={}),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_leads_into_a_published_version(draft: DatasetVersion, door: str) -> None:
    stale = DatasetVersion(draft.dataset, draft.row)  # a handle from before the publish
    draft.set_masks_labels({(0, 0, 0): ["void"]})
    draft.publish()
    before = list(draft.records()), draft.metadata, draft.stats
    for version in (draft, stale, draft.dataset["v1"]):
        with pytest.raises(VersionFrozen):
            DOORS[door](version)
    after = draft.dataset["v1"]
    assert (list(after.records()), after.metadata, after.stats) == before
    assert after.dataset.catalog.get_lease(after.id) is None


def test_a_published_version_is_pinned_whatever_happens_to_its_branch(draft: DatasetVersion) -> None:
    draft.publish()
    draft.dataset.engine.at(draft.row.branch).delete("true")  # below the gate, as a broken tool would
    assert draft.dataset["v1"].frame_ids() == [f.id for f in frames(6)]


def test_a_write_that_a_publish_overtakes_is_not_acknowledged(draft: DatasetVersion) -> None:
    other = draft.dataset["v1"]

    def write() -> None:
        with other.writing() as branch:
            draft.publish()
            branch.delete("id = 'f0001'")

    with pytest.raises(VersionFrozen):
        write()
    assert "f0001" in draft.dataset["v1"]


def test_publish_keeps_counts(draft: DatasetVersion) -> None:
    stats = draft.publish().stats
    assert (stats["frames"], stats["rois"]) == (6, 12)
    assert stats["frames_per_label"] == {"car": 3, "sky": 6, "tram": 3}
    assert stats["labelsets"] == {'["car"]': 3, '["sky"]': 6, '["tram"]': 3}


class Report:
    def __init__(self, errors: int) -> None:
        self.errors = errors

    def to_dict(self) -> dict[str, int]:
        return {"errors": self.errors}


def test_publish_refuses_on_errors_unless_told_otherwise(draft: DatasetVersion) -> None:
    with pytest.raises(CheckFailed, match="2 error") as caught:
        draft.publish(check=lambda version: Report(2))
    assert caught.value.report.errors == 2
    assert draft.state == "draft"
    draft.publish(check=lambda version: Report(2), force=True)
    assert draft.dataset["v1"].report == {"errors": 2}


def test_an_interrupted_publish_leaves_a_draft(draft: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smalti.store.publishing.tidy", fail)
    with pytest.raises(KeyboardInterrupt):
        draft.publish()
    assert draft.state == "draft"
    monkeypatch.undo()
    draft.publish()


def test_a_dead_publisher_leaves_a_draft_once_its_lease_ran_out(draft: DatasetVersion) -> None:
    catalog = draft.dataset.catalog
    lease = catalog.acquire_lease(draft.id, "a publisher that will die", 60)
    catalog.update_version(draft.id, expect_state="draft", state="publishing")
    with pytest.raises(VersionFrozen, match="publishing"):
        draft.add_frames([frame(7)])
    catalog.release_lease(lease)
    assert draft.add_frames([frame(7)]) == []
    assert draft.publish().is_published


# ---------------------------------------------------------------------------------------------- children and names
def test_a_child_starts_as_its_parent_is_and_leaves_it_alone(draft: DatasetVersion) -> None:
    draft.set_masks_labels({(0, 0, 0): ["void"]})
    child = draft.publish().child("v2")
    assert list(child.records()) == frames(6)
    assert child.legend() == Legend({(0, 0, 0): "void"})
    assert child.parents[0].id == draft.id
    child.add_frames([frame(9), frame(1, blob="x")])
    child.delete_frames(["f0000"])
    assert list(draft.records()) == frames(6)
    assert len(child) == 6


def test_only_a_published_version_has_children(draft: DatasetVersion) -> None:
    with pytest.raises(VersionError, match="only a published version"):
        draft.child("v2")
    with pytest.raises(VersionError, match="there already"):
        draft.dataset.create_version("v1")


def test_a_snapshot_publishes_and_goes_on_under_the_old_name(draft: DatasetVersion) -> None:
    working = draft.snapshot()
    assert draft.name.startswith("snapshot 20")
    assert draft.is_published
    assert (working.name, working.state, len(working)) == ("v1", "draft", 6)
    again = working.snapshot("done", child="Current")
    assert [v.name for v in draft.dataset.versions()] == [draft.name, "done", "Current"]
    assert [depth for depth, _ in draft.dataset.tree()] == [0, 1, 2]
    assert draft.dataset.current().id == again.id


def test_a_snapshot_whose_names_clash_changes_nothing(draft: DatasetVersion) -> None:
    draft.dataset.create_version("taken")
    for names in ({"name": "v1"}, {"name": "taken"}, {"name": "x", "child": "taken"}):
        with pytest.raises(VersionError):
            draft.snapshot(**names)
    assert (draft.state, draft.name) == ("draft", "v1")


def test_rename_describe_and_metadata(draft: DatasetVersion) -> None:
    draft.rename("first")
    draft.describe("text", tags=["a"])
    draft.set_metadata({"k": 1, "mask_labels": {"_all_": [{"value": [1, 1, 1], "labels": ["x"]}]}})
    found = draft.dataset["first"]
    assert (found.description, found.tags, found.metadata["k"]) == ("text", ["a"], 1)
    assert found.get_masks_labels() == {"_all_": [{"value": [1, 1, 1], "labels": ["x"]}]}


def test_legends_by_mask_id(draft: DatasetVersion) -> None:
    draft.set_masks_labels({"seg": {(1, 2, 3): "car"}, "_all_": Legend({(0, 0, 0): ["void", "none"]})})
    assert draft.legend("seg") == Legend({(1, 2, 3): "car"})
    assert draft.legend("other") == Legend({(0, 0, 0): ["void", "none"]})
    with pytest.raises(LegendError):
        draft.set_masks_labels({"seg": 5})
    assert draft.get("f0001").mask_labels == draft.get_masks_labels()


def test_deletion_is_leaf_first_and_published_needs_force(draft: DatasetVersion) -> None:
    data = draft.dataset
    child = draft.publish().child("v2")
    with pytest.raises(VersionFrozen, match="force=True"):
        draft.delete()
    with pytest.raises(VersionError, match="has children"):
        draft.delete(force=True)
    child.delete()
    with pytest.raises(VersionError, match="was deleted"):
        len(child)
    draft.delete(force=True)
    assert data.versions() == []
    assert data.engine.branches() == {}
    again = data.create_version("v1")
    assert len(again) == 0


def test_a_dataset_is_deleted_with_everything_in_it(draft: DatasetVersion, store: Store, tmp_path: Path) -> None:
    draft.publish().child("v2")
    with pytest.raises(VersionError, match="published versions"):
        draft.dataset.delete()
    draft.dataset.delete(force=True)
    assert store.datasets() == []
    assert list((tmp_path / "store").glob("*.lance")) == []
    assert store.catalog.audit()[0].what == "delete dataset"


def test_a_declared_path_becomes_a_column_in_every_version(draft: DatasetVersion) -> None:
    data = draft.dataset
    child = draft.publish().child("v2")
    child.add_frames([frame(7, meta={"n": "seven"}), frame(8)])
    etags = [draft.etag(id_) for id_ in draft.frame_ids()]
    data.declare("meta.n", "int")
    data.declare("meta.n", "int")
    assert data["v1"].rows().count("m__n >= 2") == 4
    assert data["v2"].rows().count("m__n >= 2") == 5
    data["v2"].add_frames([frame(20)])
    assert data["v2"].rows().count("m__n >= 2") == 6
    assert [data["v1"].etag(id_) for id_ in draft.frame_ids()] == etags
    assert data.diff("v1", "v2").changed == []
    with pytest.raises(VersionError, match="declared as 'int'"):
        data.declare("meta.n", "string")
    with pytest.raises(VersionError, match="path into the metadata"):
        data.declare("id", "string")


def test_threads_of_one_store_make_versions_at_once(tmp_path: Path) -> None:
    dataset = open_store(tmp_path / "store").create_dataset("d")
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: dataset.create_version(f"v{number}").name, range(24)))
    assert sorted(version.name for version in dataset.versions()) == sorted(made)
