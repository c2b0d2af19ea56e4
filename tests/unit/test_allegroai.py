"""The legacy names: signatures, who they are, and what they refuse."""

import hashlib
import inspect
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smalti
from smalti import allegroai
from smalti.allegroai import Dataset, DatasetVersion, DataView, FrameGroup, IterationOrder, SingleFrame, dataframe
from smalti.allegroai.backend_interface import DatasetVersion as FromBackend
from smalti.allegroai.dataset_version import BulkContext
from smalti.allegroai.dataview import SingleFrame as FromDataview
from smalti.allegroai.naming import NotFound, UsageError, has_tags
from smalti.errors import MissingExtra, VersionError, VersionFrozen


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty default store, and the working directory beside it."""
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def draft(home: Path) -> DatasetVersion:
    Dataset.create("pets")
    version = DatasetVersion.create_version("v1", dataset_name="pets")
    frames = [SingleFrame(id=f"f{n}", source=f"{n}.png", metadata={"n": n, "kept": True}) for n in range(3)]
    assert version.add_frames(frames) == []
    return version


SIGNATURES: list[tuple[Any, str]] = [
    (SingleFrame, "id source width height timestamp size hash preview_uri preview_uri_timestamp metadata annotations "
     "mask_source context_id"),
    (FrameGroup, "id metadata"),
    (Dataset.create, "dataset_name comment tags raise_if_exists dataset_project"),
    (Dataset.get, "dataset_id dataset_name dataset_project"),
    (Dataset.delete, "dataset_id dataset_name delete_all_versions force delete_sources show_progress dataset_project"),
    (Dataset.create_version, "self version_name description parent_version_ids parent_version_names raise_if_exists "
     "auto_upload_destination local_dataset_root_path"),
    (Dataset.delete_version, "self version_id version_name force delete_sources show_progress"),
    (DatasetVersion.create_new_dataset, "dataset_name description tags raise_if_exists dataset_project"),
    (DatasetVersion.create_version, "version_name description dataset_id dataset_name parent_version_ids "
     "parent_version_names raise_if_exists auto_upload_destination local_dataset_root_path dataset_project"),
    (DatasetVersion.create_snapshot, "version_name version_id dataset_name dataset_id publish_name publish_comment "
     "publish_metadata child_name child_comment child_metadata dataset_project"),
    (DatasetVersion.get_current, "dataset_id dataset_name auto_upload_destination local_dataset_root_path "
     "dataset_project"),
    (DatasetVersion.get_versions, "dataset_name dataset_id only_published only_draft dataset_project"),
    (DatasetVersion.add_frames, "self frames warn_on_duplicate_frames batch_size refresh_version_stats "
     "auto_upload_destination local_dataset_root_path force_upload progress_report register_on_upload_failure "
     "upload_retries src_to_dst_mapping unregister_on_upload_fail max_request_size_mb"),
    (DatasetVersion.update_frames, "self frames batch_size refresh_version_stats without_fields"),
    (DatasetVersion.delete_frames, "self frames batch_size refresh_version_stats delete_sources"),
    (DatasetVersion.get_bulk_context, "self flush_threshold log refresh_version_stats auto_upload_destination "
     "local_dataset_root_path allow_update"),
    (SingleFrame.get_local_mask_source, "self raise_on_error mask_id skip_size_check force_download"),
    (DataView.RoiQuery, "label must_not count_range conf_range"),
    (DataView, "name iteration_order iteration_infinite maximum_number_of_frames auto_connect_with_task"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "names"), SIGNATURES, ids=lambda v: getattr(v, "__qualname__", ""))
def test_arguments_come_in_the_legacy_order(call: Any, names: str) -> None:
    expected = names.split()
    assert list(inspect.signature(call).parameters)[: len(expected)] == expected


def test_names_are_where_scripts_look_for_them() -> None:
    assert FromBackend is DatasetVersion
    assert FromDataview is SingleFrame is dataframe.SingleFrame
    assert {each.name for each in IterationOrder} == {"sequential", "random"}
    assert set(allegroai.__all__) <= set(dir(allegroai))
    with pytest.raises(ImportError, match="NoSuchName"):
        exec("from smalti.allegroai import NoSuchName")


def test_rules_of_a_query_come_in_the_legacy_order() -> None:
    rule = DataView.RoiQuery("cat", True, [1, 3], (0.5, 1.0))
    assert (rule.label, rule.must_not, rule.count_range, rule.conf_range) == ("cat", True, (1, 3), (0.5, 1.0))
    assert DataView.RoiQuery("cat") == smalti.DataView.RoiQuery("cat")


def test_what_is_gone_can_be_imported_and_says_so() -> None:
    from smalti.allegroai import DataPipe

    with pytest.raises(UsageError, match="get_iterator"):
        DataPipe(view=None)


def test_the_package_loads_what_is_used() -> None:
    code = "import sys, smalti.allegroai; print([n for n in ('pyarrow', 'lance', 'clearml', 'av') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(smalti.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["Task", "InputModel", "OutputModel", "Logger"])
def test_tasks_without_clearml_are_a_missing_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoClearml:
        def find_spec(self, wanted: str, *_: object) -> None:
            if wanted.split(".")[0] == "clearml":
                raise ModuleNotFoundError(f"No module named {wanted!r}", name="clearml")

    for loaded in [each for each in sys.modules if each.split(".")[0] == "clearml"]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [NoClearml(), *sys.meta_path])
    monkeypatch.delitem(vars(allegroai), name, raising=False)
    with pytest.raises(MissingExtra, match=rf"smalti\.allegroai\.{name} is ClearML's own.*clearml"):
        getattr(allegroai, name)


BOTH: list[tuple[Any, dict[str, Any]]] = [
    (lambda **kw: Dataset.get(**kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: Dataset.delete(**kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DatasetVersion.get_version(**kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DatasetVersion.get_version(dataset_name="pets", **kw), {"version_id": "a", "version_name": "b"}),
    (lambda **kw: DatasetVersion.get_current(**kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DatasetVersion.create_version("x", **kw), {"dataset_id": "a", "dataset_name": "b"}),
    (
        lambda **kw: DatasetVersion.create_version("x", dataset_name="pets", **kw),
        {"parent_version_ids": ["a"], "parent_version_names": ["b"]},
    ),
    (lambda **kw: DataView().add_query(**kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DataView().add_query(dataset_name="pets", **kw), {"version_id": "a", "version_name": "b"}),
    (lambda **kw: DataView().add_multi_query(roi_queries=[], **kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DataView().add_mapping_rule("a", "b", **kw), {"dataset_id": "a", "dataset_name": "b"}),
    (lambda **kw: DataView.get(**kw), {"dataview_id": "a", "dataview_name": "b"}),
]


@pytest.mark.parametrize(("call", "given"), BOTH)
def test_an_id_and_a_name_exclude_each_other(call: Any, given: dict[str, Any], draft: DatasetVersion) -> None:
    with pytest.raises(UsageError, match="mutually exclusive") as caught:
        call(**given)
    assert isinstance(caught.value, ValueError)


def test_what_is_missing_is_a_value_error(draft: DatasetVersion) -> None:
    with pytest.raises(ValueError, match="no dataset 'cars'") as caught:
        Dataset.get(dataset_name="cars")
    assert isinstance(caught.value, NotFound)
    with pytest.raises(ValueError, match="no version 'v9'"):
        DatasetVersion.get_version(dataset_name="pets", version_name="v9")
    with pytest.raises(ValueError, match="no version with the id"):
        DatasetVersion.get_version(version_id="0" * 32)
    with pytest.raises(ValueError, match="no dataset is named"):
        DatasetVersion.get_version(version_name="v1")


def test_create_is_create_or_get(home: Path) -> None:
    made = Dataset.create("pets", comment="small", tags=["a"], dataset_project="zoo")
    again = Dataset.create("pets", tags=["b"], dataset_project="zoo")
    assert (made.id, made.project, again.ours.tags, again.description) == (again.id, "zoo", ["a", "b"], "small")
    assert [version.version_name for version in made.get_versions()] == ["Current"]
    with pytest.raises(ValueError, match="there already"):
        Dataset.create("pets", raise_if_exists=True, dataset_project="zoo")
    elsewhere = Dataset.create("pets", dataset_project="farm")
    assert elsewhere != made
    assert Dataset.get(dataset_name="pets", dataset_project="farm") == elsewhere
    again.remove_tags(["a"])
    assert Dataset.get(dataset_id=made.id).ours.tags == ["b"]
    assert DatasetVersion.get_datasets(tags=["-b"]) == [elsewhere]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], True),
        (["a"], True),
        (["x"], False),
        (["x", "a"], True),
        (["-a"], False),
        (["-x"], True),
        (["__$not", "b"], False),
        (["__$all", "a", "b"], True),
        (["__$and", "a", "x"], False),
        (["__$and", "a", "__$or", "x", "b"], True),
        (["__$and", "a", "__$or", "x"], False),
    ],
)
def test_tag_operators(wanted: list[str], expected: bool) -> None:
    assert has_tags(["a", "b"], wanted) is expected


def test_deleting_a_dataset_asks_twice(draft: DatasetVersion) -> None:
    with pytest.raises(UsageError, match="delete_all_versions"):
        Dataset.delete(dataset_name="pets")
    draft.publish_version()
    with pytest.raises(VersionError, match="published"):
        Dataset.delete(dataset_name="pets", delete_all_versions=True)
    with pytest.raises(UsageError, match="never deletes"):
        Dataset.delete(dataset_name="pets", delete_all_versions=True, force=True, delete_sources=True)
    Dataset.delete(dataset_name="pets", delete_all_versions=True, force=True)
    with pytest.raises(NotFound):
        Dataset.get(dataset_name="pets")


def test_a_draft_of_the_name_is_returned_and_a_published_one_refused(draft: DatasetVersion) -> None:
    assert DatasetVersion.create_version("v1", dataset_name="pets").version_id == draft.version_id
    with pytest.raises(ValueError, match="there already"):
        DatasetVersion.create_version("v1", dataset_name="pets", raise_if_exists=True)
    with pytest.raises(VersionError, match="publish it first"):
        DatasetVersion.create_version("v2", dataset_name="pets", parent_version_names=["v1"])
    assert draft.publish_version() is True
    with pytest.raises(ValueError, match="published"):
        DatasetVersion.create_version("v1", dataset_name="pets")
    with pytest.raises(VersionFrozen):
        draft.add_frames([SingleFrame(source="x.png")])
    child = DatasetVersion.create_version("v2", dataset_name="pets", parent_version_ids=[draft.version_id])
    assert (len(child), child.get_parent(), child.draft, draft.draft) == (3, draft.version_id, True, False)
    DatasetVersion.remove_version(dataset_name="pets", version_name="v2")
    assert "v2" not in [version.version_name for version in DatasetVersion.get_versions(dataset_name="pets")]


def test_frames_are_found_by_id_and_source_on_class_and_object(draft: DatasetVersion) -> None:
    draft.add_frames(SingleFrame(id="far", source="s3://bucket/dir/far.png"))
    one = DatasetVersion.get_single_frame("f1", dataset_name="pets", version_name="v1")
    assert isinstance(one, SingleFrame)
    assert (one.id, draft.get_single_frame(frame_id="f1").metadata) == ("f1", {"n": 1, "kept": True})
    assert [f.id for f in draft.get_frames_by_ids(["f2", "none", "f0"])] == ["f2", "f0"]
    rows = DatasetVersion.get_frames_by_ids(["f2"], ["id", "meta.n"], dataset_name="pets", version_name="v1")
    assert rows == [{"id": "f2", "meta": {"n": 2}}]
    assert [f.id for f in draft.get_frames_by_source("s3://bucket/*.png")] == ["far"]
    assert [row["dataset"] for row in draft.get_iterator(projection=["dataset.version"])] == [
        {"version": draft.version_id}
    ] * 4


def test_what_is_not_stored_comes_back_with_its_frame(draft: DatasetVersion, home: Path) -> None:
    bad = SingleFrame(id="bad", source="b.png")
    bad.record.rois.append(smalti.Roi(label=["x"], sources=["nowhere"]))
    good = SingleFrame(id="good", source="g.png")
    (failed,) = draft.add_frames([bad, good])
    assert (failed["frame"], failed["error_type"]) == (bad, "validation")
    assert "nowhere" in failed["error"]
    assert "good" in draft
    lost = SingleFrame(id="lost", source=str(home / "none.png"))
    (failed,) = draft.add_frames(iter([lost]), auto_upload_destination=str(home / "up"))
    assert (failed["frame"], failed["error_type"], "lost" in draft) == (lost, "upload", False)
    (failed,) = draft.add_frames([lost], auto_upload_destination=str(home / "up"), register_on_upload_failure=True)
    assert (failed["error_type"], "lost" in draft) == ("upload", True)


def test_uploads_go_where_the_version_was_opened_for(draft: DatasetVersion, home: Path) -> None:
    Image.new("L", (2, 2)).save(home / "here.png")
    version = DatasetVersion.get_version(dataset_name="pets", auto_upload_destination=str(home / "up"))
    version.add_frames([SingleFrame(id="here", source=str(home / "here.png"))])
    stored = Path(version.get_single_frame("here").source)
    assert stored.is_relative_to(home / "up" / version.dataset_id)
    assert stored.read_bytes() == (home / "here.png").read_bytes()


def test_duplicates_are_warned_of_on_demand(draft: DatasetVersion) -> None:
    draft.add_frames([SingleFrame(id="f0", source="0.png")])
    with pytest.warns(UserWarning, match="1 frames are in"):
        draft.add_frames([SingleFrame(id="f0", source="0.png"), SingleFrame(source="n.png")], True)


def test_updates_replace_or_merge(draft: DatasetVersion) -> None:
    draft.update_frames([SingleFrame(id="f0", source="0.png", metadata={"n": 10})])
    assert draft.get_single_frame("f0").metadata == {"n": 10}
    draft.update_frames([SingleFrame(id="f1", source="else.png", metadata={"n": 11, "new": 1})], without_fields=[])
    merged = draft.get_single_frame("f1")
    assert (merged.metadata, Path(merged.source).name) == ({"n": 11, "kept": True, "new": 1}, "else.png")
    draft.update_frames([SingleFrame(id="f2", source="2.png", metadata={"n": 12, "new": 1})], without_fields=["meta.n"])
    assert draft.get_single_frame("f2").metadata == {"n": 2, "kept": True, "new": 1}


def test_bulk_contexts_collect_and_are_one_at_a_time(draft: DatasetVersion, caplog: pytest.LogCaptureFixture) -> None:
    bulk = draft.get_bulk_context(flush_threshold=2, log=logging.getLogger("bulk"))
    assert isinstance(bulk, BulkContext)
    with bulk:
        bulk.add_frame(SingleFrame(id="n0", source="n0.png"))
        assert "n0" not in draft
        bulk.delete_frame("f0")
        assert "n0" in draft
        assert "f0" not in draft
        with pytest.raises(UsageError, match="open bulk context"):
            draft.get_bulk_context()
        with pytest.raises(UsageError, match="allow_update"):
            bulk.update_frame(SingleFrame(id="n0", source="n0.png"))
        bulk.add_frame(SingleFrame(id="n1", source="n1.png"))
        bulk.delete_frame("n1")
        bulk.add_frame(SingleFrame(id="n2", source="n2.png"))
        draft.flush()
        assert "n2" in draft
        bad = SingleFrame(id="bad", source="b.png")
        bad.record.rois.append(smalti.Roi(label=["x"], sources=["nowhere"]))
        bulk.add_frame(bad)
    assert sorted(frame.id for frame in draft) == ["f1", "f2", "n0", "n2"]
    assert [entry["frame"] for entry in bulk.failed] == [bad]
    assert "nowhere" in caplog.text
    with pytest.raises(UsageError, match="with-block"):
        bulk.add_frame(bad)
    with draft.get_bulk_context(allow_update=True) as again:
        again.update_frame(SingleFrame(id="n0", source="other.png"))
    assert Path(draft.get_single_frame("n0").source).name == "other.png"


def test_metadata_names_and_legends(draft: DatasetVersion) -> None:
    assert draft.set_metadata({"who": "me"})
    assert draft.set_masks_labels({(1, 2, 3): ["cat", "pet"], (0, 0, 0): ["none"]})
    assert draft.get_masks_labels() == {(1, 2, 3): ["cat", "pet"], (0, 0, 0): ["none"]}
    rows = draft.get_metadata()["mask_labels"]["_all_"]
    assert {tuple(row["value"]): row["labels"] for row in rows} == draft.get_masks_labels()
    assert draft.set_version_name("renamed")
    assert (draft.version_name, draft.dataset_name, draft.get_metadata()["who"]) == ("renamed", "pets", "me")
    assert draft.commit_version()["frames"] == 3
    origin = draft.get_single_frame("f0")
    assert origin.origin["version_name"] == "renamed"
    assert origin.dataset_version_metadata["who"] == "me"
    assert SingleFrame(source="x.png").origin == {}


# ------------------------------------------------------------------------------------------------ frames, annotations
def test_annotations_are_built_and_come_back_as_their_classes() -> None:
    made = [
        dataframe.Mask([1, 2, 3], labels=["a"], mask_id="00"),
        dataframe.Polygon2D([0, 0, 4, 0, 4, 4], labels=["a"], confidence=0.5),
        dataframe.ComplexPolygon2D([[0, 0, 9, 0, 9, 9], [1, 1, 2, 1, 2, 2]], labels=["a"]),
        dataframe.Polygon3D([0, 0, 0, 1, 0, 0, 1, 1, 1]),
        dataframe.KeyPoints2D([1, 2, 3, 4]),
        dataframe.KeyPoints3D([1, 2, 3]),
        dataframe.Ellipse2D([5, 5, 2, 1, 0.5], id="e"),
        dataframe.BoundingBox2D([1, 2, 3, 4], labels=["a"]),
        dataframe.BoundingBox3D([0, 0, 0, 1, 1, 2, 2, 2, 1, 1]),
        dataframe.ImageAnnotation(labels=["cityscape"], confidence=1.0),
    ]
    frame = SingleFrame(source="a.png", annotations=made)
    found = frame.get_annotations()
    assert [type(each) for each in found] == [type(each) for each in made]
    assert found == made
    assert [each.get_type() for each in found] == ["mask", "p2d", "p2d", "p3d", "k2d", "k3d", "elp", "b2d", "b3d", "im"]
    assert (found[0].mask_rgb, found[0].mask_id) == ([1, 2, 3], "00")
    assert found[7].get_bounding_box() == [1, 2, 3, 4]
    assert found[9].labels == ["cityscape"]
    assert [type(each) for each in SingleFrame.from_dict(frame.to_dict()).annotations] == [type(each) for each in made]


@pytest.mark.parametrize(
    ("kind", "argument", "values"),
    [
        (dataframe.Polygon2D, "polygon_xy", [0, 0, 4, 0, 4, 3]),
        (dataframe.ComplexPolygon2D, "polygons_xy", [[0, 0, 4, 0, 4, 3], [9, 9, 10, 9, 10, 10]]),
        (dataframe.Polygon3D, "polygon_xyz", [0, 0, 1, 4, 0, 1, 4, 3, 1]),
        (dataframe.ComplexPolygon3D, "polygons_xyz", [[0, 0, 1, 4, 0, 1, 4, 3, 1]]),
        (dataframe.KeyPoints2D, "keypoints_xy", [1, 2, 3, 4]),
        (dataframe.KeyPoints3D, "keypoints_xyz", [1, 2, 3]),
        (dataframe.Ellipse2D, "ellipse2d_xyrrt", [5, 5, 2, 1, 0]),
        (dataframe.BoundingBox2D, "bounding_box_xywh", [1, 2, 3, 4]),
        (dataframe.BoundingBox3D, "bounding_box_3d_xyzwhxyzwh", [0, 0, 0, 2, 2, 1, 1, 1, 2, 2]),
    ],
)
def test_coordinates_come_first_or_by_name(kind: Any, argument: str, values: Any) -> None:
    named = kind(**{argument: values}, labels=["car"], confidence=0.5)
    placed = kind(values, None, ["car"], 0.5)
    assert (named.values, named.labels, named.confidence) == (placed.values, placed.labels, placed.confidence)
    with pytest.raises(TypeError, match=argument):
        kind(labels=["car"])


def test_custom_types_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataframe, "_REGISTERED", {})

    @dataframe.Annotation.register(["spiral", "snail"])
    class Spiral(dataframe.Annotation):
        __slots__ = ()

    frame = SingleFrame(source="a.png")
    places = frame.add_annotation(spiral=[1, 2, 3], box2d_xywh=(0, 0, 1, 1), labels=["x"], confidence=0.5)
    box, spiral = frame.annotations
    assert places == [0, 1]
    assert isinstance(spiral, Spiral)
    assert (spiral.values, spiral.labels, spiral.confidence, spiral.get_type()) == ([1, 2, 3], ["x"], 0.5, "spiral")
    assert spiral.id == box.id
    assert frame.add_annotation(snail=[4], labels=["y"], id="mine") == [2]
    assert frame.annotations[2].id == "mine"
    with pytest.raises(UsageError, match="cannot be registered"):
        dataframe.Annotation.register("mask_rgb")(Spiral)


def test_a_frame_has_the_legacy_properties(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for name in ("image", "mask"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    path = str(tmp_path / "image.png")
    frame = SingleFrame(
        id=7.0, source=path, size=12, hash="abc", preview_uri="p.png", preview_uri_timestamp=5,
        mask_source=str(tmp_path / "mask.png"),
    )  # fmt: skip
    assert (frame.id, frame.size, frame.hash, frame.timestamp, frame.preview_source_timestamp) == (
        "7.0", 12, "abc", 0, 5,
    )  # fmt: skip
    assert frame.get_local_source(skip_size_check=True) == path
    assert frame.get_local_mask_source() == frame.get_local_masks_source()["00"] == str(tmp_path / "mask.png")
    digest = hashlib.sha256((tmp_path / "image.png").read_bytes()).hexdigest()
    assert frame.update_source_files_hash() == {"source": digest, "mask_source": [digest]}
    assert frame.get_source_hash() == {"source": digest, "mask_source": [digest]}
    twin = frame.copy()
    assert isinstance(twin, SingleFrame)
    assert (twin.id != frame.id, twin.source) == (True, path)
    assert SingleFrame().id != SingleFrame().id


def test_groups_hold_frames_of_this_package() -> None:
    group = FrameGroup("g", {"k": 1}, {"left": SingleFrame(source="l.png")}, right=SingleFrame(source="r.png"))
    group.add_global_annotation(dataframe.ImageAnnotation("rain"))
    assert (group.id, group.metadata, list(group)) == ("g", {"k": 1}, ["left", "right"])
    assert isinstance(group["left"], SingleFrame)
    assert [type(each) for each in group.get_global_annotations()] == [dataframe.ImageAnnotation]
    assert group.remove_global_annotation(dataframe.ImageAnnotation("rain"))
    assert isinstance(group.copy(), FrameGroup)
    assert isinstance(FrameGroup.from_dict(group.to_dict()), FrameGroup)


# ------------------------------------------------------------------------------------------------------------- views
def test_views_are_stored_and_found_with_their_frames(draft: DatasetVersion) -> None:
    draft.publish_version()
    view = DataView("mine", IterationOrder.random, False, 2, description="d", tags=["t"])
    view.add_query(dataset_name="pets", version_name="v1", frame_query="meta.n:[1 TO *]").store()
    found = DataView.get(dataview_name="mine")
    assert isinstance(found, DataView)
    assert (found.id, found.description, found.tags, found.status) == (view.id, "d", ["t"], "draft")
    assert [f.id for f in found] == [f.id for f in view]
    assert all(isinstance(f, SingleFrame) and f.origin["dataset_name"] == "pets" for f in found)
    found.publish()
    assert DataView.get(dataview_id=view.id).status == "published"


def test_queries_are_taken_over_and_repetition_balances(draft: DatasetVersion) -> None:
    view = DataView()
    view.add_query(dataset_name="pets", version_name="v1", frame_query="meta.n:0", weight=9)
    view.add_query(dataset_name="*", version_name="*", frame_query="meta.n:[1 TO *]", weight=1)
    other = DataView()
    other.add_query(queries=view.get_queries())
    assert [rule.weight for rule in other.get_queries()] == [9, 1]
    assert other.get_count() == view.get_count() == (3, [1, 2])
    # The larger query has two frames and a tenth of the weight, so an epoch has twenty, of which f0 is nine tenths, give
    # or take a frame or two.
    balanced = view.to_list(allow_repetition=True)
    assert len(balanced) == 20
    assert 16 <= sum(f.id == "f0" for f in balanced) <= 19
    assert all(isinstance(f, SingleFrame) for f in balanced)
    assert isinstance(view.clone("other"), DataView)


def test_iteration_is_counted_and_taken_up(draft: DatasetVersion) -> None:
    view = DataView(iteration_order="sequential")
    view.add_query(dataset_name="pets", version_name="v1")
    iterator = view.get_iterator(query_cache_size=10)
    next(iterator)
    next(iterator)
    assert view.get_current_iteration() == 2
    view.set_initial_iteration(1)
    assert [f.id for f in view] == ["f1", "f2"]
    assert view.get_current_iteration() == 3
    shuffled = DataView(iteration_order="random")
    shuffled.add_query(dataset_name="pets", version_name="v1")
    epochs = [[f.id for f in shuffled.iterate(epoch=epoch)] for epoch in range(9)]
    assert len(set(map(tuple, epochs))) > 1
    for epoch, expected in enumerate(epochs):
        assert [f.id for f in shuffled.iterate(resume=shuffled.iterate(epoch=epoch).state())] == expected


def test_labels_that_disagree_have_no_number(draft: DatasetVersion) -> None:
    frame = SingleFrame(id="f0", source="0.png")
    frame.add_annotation(box2d_xywh=[0, 0, 1, 1], labels=["cat", "dog"])
    frame.add_annotation(box2d_xywh=[0, 0, 1, 1], labels=["cat"])
    draft.add_frames([frame])
    view = DataView()
    view.add_query(dataset_name="pets", version_name="v1", roi_query="cat")
    assert [a.label_enum for a in next(iter(view)).annotations] == [None, None]
    view.set_labels(cat=1, dog=2)
    assert [a.label_enum for a in next(iter(view)).annotations] == [None, 1]


def test_prefetch_takes_what_is_there_and_passes_over_what_is_not(draft: DatasetVersion, home: Path) -> None:
    view = DataView()
    view.add_query(dataset_name="pets", version_name="v1")
    view.prefetch_files(num_workers=2, wait=True, get_previews=True)
    assert [f.get_local_source() for f in view] == [None] * 3


def test_a_version_of_this_package_is_one_of_ours(draft: DatasetVersion) -> None:
    assert smalti.DataView(draft).count() == draft.view().count() == len(draft) == 3
    assert bool(DatasetVersion.create_version("empty", dataset_name="pets"))
