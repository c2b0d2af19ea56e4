"""Diff and merge of versions, against what the records themselves say."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from smalti.errors import ConflictError, VersionError
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import Dataset, open_store
from smalti.store.changes import MISSING, changes, parts_of, rebuilt
from smalti.store.merge import Conflict, merge_frames
from smalti.testing import frame, frames

replace = msgspec.structs.replace


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Versions `base` (published), `ours` and `theirs` (drafts of it)."""
    found = open_store(tmp_path / "store").create_dataset("data")
    found.create_version("base").add_frames(frames(10))
    found["base"].publish()
    found["base"].child("ours")
    found["base"].child("theirs")
    return found


def touched(data: Dataset, a: str, b: str) -> tuple[list[str], list[str], list[str]]:
    found = data.diff(a, b)
    return found.added, found.removed, found.changed


def test_a_diff_names_what_was_added_removed_and_changed(data: Dataset) -> None:
    ours = data["ours"]
    ours.add_frames([frame(20), frame(1, blob="x"), frame(2)])  # 2 is saved again as it was
    ours.delete_frames(["f0003", "f0004"])
    assert touched(data, "base", "ours") == (["f0020"], ["f0003", "f0004"], ["f0001"])
    assert touched(data, "ours", "base") == (["f0003", "f0004"], ["f0020"], ["f0001"])
    assert touched(data, "ours", "theirs") == (["f0003", "f0004"], ["f0020"], ["f0001"])
    assert touched(data, "ours", "ours") == ([], [], [])


def test_a_diff_survives_compaction_and_generations(data: Dataset) -> None:
    ours = data["ours"]
    ours.delete_frames(["f0003"])
    ours.publish()
    grandchild = ours.child("grandchild")
    grandchild.add_frames([frame(3, blob="back"), frame(5, blob="x")])
    grandchild.delete_frames(["f0006"])
    with grandchild.lease("test"), grandchild.writing() as branch:
        branch.compact(1 << 16)
    assert touched(data, "base", "grandchild") == ([], ["f0006"], ["f0003", "f0005"])
    assert touched(data, "grandchild", "theirs") == (["f0006"], [], ["f0003", "f0005"])


def test_versions_without_a_common_ancestor_are_compared_as_well(data: Dataset) -> None:
    data.create_version("other").add_frames([*frames(3), frame(5, blob="x"), frame(30)])
    assert touched(data, "base", "other") == (
        ["f0030"],
        ["f0003", "f0004", *[f"f000{n}" for n in range(6, 10)]],
        ["f0005"],
    )


def test_counting_masks_or_promoting_metadata_is_no_change(data: Dataset) -> None:
    data.declare("meta.n", "int")
    ours = data["ours"]
    with ours.writing() as branch:
        rows = branch.table(["id", "etag"])
        branch.annotate(rows.append_column("px_known", [[True] * len(rows)]))
    assert ours.rows().count("px_known") == 10
    assert touched(data, "base", "ours") == ([], [], [])


def test_what_changed_in_a_frame(data: Dataset) -> None:
    edited = frame(1, meta={"city": "kiel", "n": 1, "new": {"deep": True}})
    edited.sources[0].width = 9
    edited.sources[0].masks = [Mask(id="seg", uri="other.png"), Mask(id="more", uri="more.png")]
    edited.rois = [replace(edited.rois[0], label=["bus"]), Roi(label=["x"])]
    data["ours"].add_frames([edited])
    found = data.diff("base", "ours").frame("f0001")
    assert [(c.path, c.kind) for c in found.meta] == [("meta.city", "changed"), ("meta.new.deep", "added")]
    assert [(c.path, c.kind) for c in found.sources] == [("sources.front.width", "changed")]
    assert [(c.path, c.kind) for c in found.masks] == [
        ("sources.front.masks.seg", "changed"),
        ("sources.front.masks.more", "added"),
    ]
    assert sorted((c.kind, c.path[:9]) for c in found.rois) == [
        ("added", 'rois.{"la'),
        ("changed", "rois.r0"),
        ("removed", "rois.fron"),
    ]
    assert found.meta[0].before == "ulm"
    assert data.diff("base", "ours").frame("f0002").changes == []
    assert [item.id for item in data.diff("base", "ours").frames()] == ["f0001"]
    with pytest.raises(VersionError, match="has a frame 'nope'"):
        data.diff("base", "ours").frame("nope")


def test_changed_pixels_are_counted_by_pairs_of_labels(data: Dataset, tmp_path: Path) -> None:
    colors = {"road": (10, 20, 30), "car": (40, 50, 60)}
    before, after = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)
    before[:, :3], after[:, :2] = colors["road"], colors["road"]
    after[0, 2:5] = colors["car"]
    for name, pixels in (("before", before), ("after", after)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")

    def masked(name: str) -> Frame:
        source = Source(id="front", uri="i.png", masks=[Mask(id="seg", uri=str(tmp_path / f"{name}.png"))])
        rois = [Roi(label=[word], mask=RoiMask(id="seg", value=list(value))) for word, value in colors.items()]
        return Frame(id="m", sources=[source], rois=rois)

    data["ours"].add_frames([masked("before")])
    data["theirs"].add_frames([masked("after")])
    (found,) = data.diff("ours", "theirs").frame("m").mask_pixels()
    assert (found.source, found.mask) == ("front", "seg")
    assert found.pixels == {("road", "car"): 1, ("road", None): 3, (None, "car"): 2}


def test_one_and_one_point_zero_are_the_same_but_true_is_not() -> None:
    a, b, c = frame(1, meta={"x": 1}), frame(1, meta={"x": 1.0}), frame(1, meta={"x": True})
    assert changes(a, b) == []
    assert [(change.before, change.after) for change in changes(a, c)] == [(1, True)]
    assert changes(None, a)[0].before is MISSING


def test_a_frame_is_what_its_parts_say() -> None:
    full = frame(3, meta={"a": {"b": {}, "c": [1]}, "d": None}, meta_blob={"z": 1}, extra={"saved": 1})
    full.sources[0].extra = {"k": {"l": 2}}
    full.sources.append(Source(id="rear", uri="r", meta={"x": 1}))
    full.rois += [Roi(label=["sky"]), Roi(label=["sky"])]
    assert rebuilt(full.id or "", parts_of(full)) == full


def merged(base: Frame | None, ours: Frame | None, theirs: Frame | None) -> tuple[Frame | None, list[str]]:
    found: list[Conflict] = []

    def choose(conflict: Conflict) -> str:
        found.append(conflict)
        return "theirs"

    return merge_frames(base, ours, theirs, choose), [conflict.path for conflict in found]


def test_changes_to_different_parts_are_joined() -> None:
    base = frame(1)
    ours = frame(1, meta={"city": "kiel", "n": 1}, rois=[replace(base.rois[0], label=["bus"]), base.rois[1]])
    theirs = frame(1, meta={"city": "ulm", "n": 1, "by": "them"}, rois=[*base.rois, Roi(label=["new"], id="r9")])
    theirs.sources[0].masks[0].uri = "better.png"
    found, conflicts = merged(base, ours, theirs)
    assert conflicts == []
    assert found is not None
    assert found.meta == {"city": "kiel", "n": 1, "by": "them"}
    assert [roi.label for roi in found.rois] == [["bus"], ["sky"], ["new"]]
    assert found.sources[0].masks[0].uri == "better.png"


@pytest.mark.parametrize(
    ("ours", "theirs", "path"),
    [
        (frame(1, meta={"city": "a"}), frame(1, meta={"city": "b"}), "meta.city"),
        (frame(1, blob="a"), frame(1, blob="b"), "blob"),
        (frame(1, rois=[]), frame(1, rois=[Roi(label=["x"], id="r0"), frame(1).rois[1]]), "rois.r0"),
        (None, frame(1, blob="b"), "(frame)"),
        (frame(1, blob="a"), None, "(frame)"),
    ],
)
def test_changes_to_the_same_part_conflict(ours: Frame | None, theirs: Frame | None, path: str) -> None:
    found, conflicts = merged(frame(1, meta={"city": "ulm"}), ours, theirs)
    assert path in conflicts
    if path == "(frame)":
        assert found == theirs


def test_deleted_and_untouched_is_deleted_and_deleted_by_both_too() -> None:
    assert merged(frame(1), None, frame(1)) == (None, [])
    assert merged(frame(1), frame(1), None) == (None, [])
    assert merged(frame(1), None, None) == (None, [])
    assert merged(None, None, frame(1)) == (frame(1), [])


def both_sides(data: Dataset) -> None:
    data["ours"].add_frames([frame(1, blob="ours"), frame(2, blob="ours"), frame(20)])
    data["ours"].delete_frames(["f0007"])
    data["theirs"].add_frames([frame(1, meta={"n": 1, "city": "kiel"}), frame(2, blob="theirs"), frame(21)])
    data["theirs"].delete_frames(["f0008"])


def test_a_merge_without_a_rule_refuses_and_changes_nothing(data: Dataset) -> None:
    both_sides(data)
    before = list(data["ours"].records())
    with pytest.raises(ConflictError, match="f0002: blob") as caught:
        data.merge("ours", "theirs")
    (conflict,) = caught.value.conflicts
    assert (conflict.frame, conflict.path, conflict.base, conflict.ours, conflict.theirs) == (
        "f0002", "blob", None, "ours", "theirs",
    )  # fmt: skip
    assert list(data["ours"].records()) == before


@pytest.mark.parametrize(("rule", "blob"), [("ours", "ours"), ("theirs", "theirs"), (lambda c: "theirs", "theirs")])
def test_a_merge_joins_frames_and_keeps_what_the_rule_chose(data: Dataset, rule: Any, blob: str) -> None:
    both_sides(data)
    result = data.merge("ours", "theirs", rule=rule)
    assert result.name == "ours"
    found = {record.id: record for record in result.records()}
    assert found.keys() == {f"f{n:04d}" for n in (*range(7), 9, 20, 21)}
    assert (found["f0001"].blob, found["f0001"].meta["city"]) == ("ours", "kiel")
    assert found["f0002"].blob == blob
    assert result.row.extra["conflicts"] == [{"frame": "f0002", "path": "blob", "chosen": blob}]
    assert data.store.verify().problems == []


def test_a_published_version_is_merged_into_a_child_of_it(data: Dataset) -> None:
    both_sides(data)
    for name in ("ours", "theirs"):
        data[name].publish()
    result = data.merge("ours", "theirs", rule="ours", name="joined")
    assert (result.name, result.state) == ("joined", "draft")
    assert {parent.name for parent in result.parents} == {"ours", "theirs"}
    assert data["ours"].get_record("f0001").meta["city"] == "ulm"


CAR, TRUCK, BUS = ({(1, 2, 3): name} for name in ("car", "truck", "bus"))


def word(data: Dataset, name: str, mask_id: str = "_all_") -> str | None:
    rows = data[name].get_masks_labels().get(mask_id)
    return rows[0]["labels"][0] if rows else None


@pytest.fixture
def labeled(tmp_path: Path) -> Dataset:
    """As `data`, with a legend."""
    found = open_store(tmp_path / "store").create_dataset("data")
    base = found.create_version("base")
    base.set_masks_labels({"seg": CAR, "depth": CAR})
    base.add_frames(frames(3))
    base.publish()
    base.child("ours")
    base.child("theirs")
    return found


def test_a_diff_says_which_legends_differ(labeled: Dataset) -> None:
    assert labeled.diff("base", "ours").legends == {}
    labeled["ours"].set_masks_labels({"seg": TRUCK, "new": BUS})
    found = labeled.diff("base", "ours")
    assert list(found.legends) == ["depth", "new", "seg"]
    assert [[side and side[0]["labels"] for side in pair] for pair in found.legends.values()] == [
        [["car"], None], [None, ["bus"]], [["car"], ["truck"]],
    ]  # fmt: skip
    assert "3 legends" in repr(found)
    assert len(found) == 0


def test_a_legend_that_one_side_changed_is_merged(labeled: Dataset) -> None:
    labeled["theirs"].set_masks_labels({"seg": TRUCK, "new": BUS})
    labeled.merge("ours", "theirs")
    assert labeled["ours"].get_masks_labels() == labeled["theirs"].get_masks_labels()
    assert (word(labeled, "ours", "seg"), word(labeled, "ours", "depth")) == ("truck", None)


@pytest.mark.parametrize("rule", ["error", "ours", "theirs"])
def test_a_legend_of_all_masks_is_that_of_a_mask_without_its_own(tmp_path: Path, rule: Any) -> None:
    data = open_store(tmp_path / "store").create_dataset("data")
    base = data.create_version("base")
    base.set_masks_labels({"_all_": CAR})
    base.publish()
    base.child("ours").set_masks_labels({"_all_": CAR, "seg": BUS})
    base.child("theirs").set_masks_labels({"_all_": TRUCK})
    if rule == "error":
        with pytest.raises(ConflictError, match=r"both sides changed mask_labels\.seg; choose"):
            data.merge("ours", "theirs")
        return
    data.merge("ours", "theirs", rule=rule)
    assert word(data, "ours", "_all_") == "truck"  # ours did not change it
    found = data["ours"].legend("seg")
    assert found is not None
    assert found.labels == (["bus"] if rule == "ours" else ["truck"])


def test_a_legend_that_both_changed_is_a_conflict(labeled: Dataset) -> None:
    labeled["ours"].set_masks_labels({"seg": TRUCK, "depth": CAR})
    labeled["theirs"].set_masks_labels({"seg": BUS, "depth": TRUCK})
    with pytest.raises(ConflictError, match=r"both sides changed mask_labels\.seg; choose") as caught:
        labeled.merge("ours", "theirs")
    assert caught.value.on_command_line.endswith("changed mask_labels.seg; choose a side: --rule ours or --rule theirs")
    (conflict,) = caught.value.conflicts
    assert (conflict.frame, conflict.base[0]["labels"], conflict.theirs[0]["labels"]) == ("", ["car"], ["bus"])
    assert (word(labeled, "ours", "seg"), word(labeled, "ours", "depth")) == ("truck", "car")
    merged = labeled.merge("ours", "theirs", rule="theirs")
    assert (word(labeled, "ours", "seg"), word(labeled, "ours", "depth")) == ("bus", "truck")
    assert merged.row.extra["conflicts"] == [{"frame": "", "path": "mask_labels.seg", "chosen": "theirs"}]


@pytest.mark.parametrize("rule", ["ours", "theirs"])
def test_parents_whose_legends_disagree(labeled: Dataset, rule: Any) -> None:
    labeled["ours"].set_masks_labels({"seg": TRUCK, "depth": CAR})
    labeled["theirs"].set_masks_labels({"seg": BUS, "depth": TRUCK})
    for name in ("ours", "theirs"):
        labeled[name].publish()
    with pytest.raises(ConflictError, match="mask_labels"):
        labeled.create_version("both", parents=["ours", "theirs"])
    with pytest.raises(ConflictError, match="mask_labels"):
        labeled.merge("ours", "theirs", name="both")
    assert "both" not in labeled
    labeled.create_version("both", parents=["ours", "theirs"], prefer=rule)
    assert word(labeled, "both", "seg") == word(labeled, rule, "seg")
    assert word(labeled, "both", "depth") == "truck"


def test_merged_frames_have_no_counts_by_another_legend(labeled: Dataset, tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2, 3), (1, 2, 3), np.uint8)).save(tmp_path / "m.png")
    source = Source(id="s", uri="i.png", masks=[Mask(id="seg", uri=str(tmp_path / "m.png"))])
    labeled["theirs"].set_masks_labels({"seg": TRUCK, "depth": CAR})
    labeled["theirs"].add_frames([Frame(id="theirs", sources=[source])], facts=True)
    labeled["ours"].set_masks_labels({"seg": BUS, "depth": CAR})
    labeled["ours"].add_frames([Frame(id="ours", sources=[source])], facts=True)

    def counted() -> dict[str, list[str]]:
        rows = labeled["ours"].rows().table(["id", "px_label"], "px_known").to_pylist()
        return {row["id"]: row["px_label"] for row in rows}

    labeled.merge("ours", "theirs", rule="ours")
    assert counted() == {"ours": ["bus"]}
    labeled["ours"].compute_facts()
    assert counted() == {"ours": ["bus"], "theirs": ["bus"]}
    labeled.merge("ours", "theirs", rule="theirs")
    assert counted() == {}
    labeled["ours"].compute_facts()
    assert counted() == {"ours": ["truck"], "theirs": ["truck"]}


def test_a_version_from_two_parents(data: Dataset) -> None:
    both_sides(data)
    for name in ("ours", "theirs"):
        data[name].publish()
    with pytest.raises(ConflictError):
        data.create_version("both", parents=["ours", "theirs"])
    assert "both" not in data
    assert len(data.engine.branches()) == 3
    both = data.create_version("both", parents=["ours", "theirs"], prefer="theirs")
    assert {r.id: r for r in both.records()} == {r.id: r for r in data.merge("ours", "theirs", rule="theirs").records()}
    assert [parent.name for parent in both.parents] == ["ours", "theirs"]
