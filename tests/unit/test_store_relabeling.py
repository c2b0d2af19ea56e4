"""A legend that changes: what was counted by the former one is not believed any more."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smalti.errors import LegendError, VersionError
from smalti.records import Frame, Mask, Source
from smalti.store import Dataset, DatasetVersion, merge, open_store, relabeling
from smalti.store.legends import join, stored

CAR, TRUCK = {(0, 0, 0): "ground", (1, 2, 3): "car"}, {(0, 0, 0): "ground", (1, 2, 3): "truck"}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return open_store(tmp_path / "store").create_dataset("data")


def unexplained(folder: Path, name: str, columns: int) -> Frame:
    """A frame whose mask means what the version's legend says."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :columns] = (1, 2, 3)
    Image.fromarray(pixels).save(folder / f"{name}.png")
    return Frame(
        id=name, sources=[Source(id="s", uri="i.png", masks=[Mask(id="seg", uri=str(folder / f"{name}.png"))])]
    )


def counted(data: Dataset, folder: Path, name: str = "v") -> DatasetVersion:
    version = data.create_version(name)
    version.set_masks_labels(CAR)
    version.add_frames([unexplained(folder, "a", 2), unexplained(folder, "b", 0)], facts=True)
    assert labels(version) == {"a": ["car", "ground"], "b": ["ground"]}
    return version


def labels(version: DatasetVersion) -> dict[str, list[str] | None]:
    rows = version.rows().table(["id", "px_known", "px_label"]).to_pylist()
    return {row["id"]: row["px_label"] if row["px_known"] else None for row in rows}


def test_another_legend_has_the_masks_counted_again(data: Dataset, tmp_path: Path) -> None:
    version = counted(data, tmp_path)
    etags = [version.etag(id_) for id_ in "ab"]
    version.set_masks_labels(TRUCK)
    assert labels(version) == {"a": None, "b": None}
    assert [version.etag(id_) for id_ in "ab"] == etags
    assert version.compute_facts() == []
    assert labels(version) == {"a": ["ground", "truck"], "b": ["ground"]}
    assert [frame.id for frame in version.view("mask.labels:truck").to_list()] == ["a"]
    assert len(version.view("mask.labels:car")) == 0


def test_metadata_with_another_legend_does_the_same(data: Dataset, tmp_path: Path) -> None:
    version = counted(data, tmp_path)
    version.set_metadata({"city": "bremen", "mask_labels": TRUCK})
    assert labels(version) == {"a": None, "b": None}
    assert version.metadata["city"] == "bremen"
    version.publish(facts=True)
    assert labels(version) == {"a": ["ground", "truck"], "b": ["ground"]}


def test_the_same_legend_again_keeps_the_counts(data: Dataset, tmp_path: Path) -> None:
    version = counted(data, tmp_path)
    written = version.rows().version
    version.set_masks_labels(dict(CAR))
    version.set_metadata({"mask_labels": CAR})
    assert version.rows().version == written


def test_a_crash_before_the_legend_is_kept_leaves_no_wrong_counts(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = counted(data, tmp_path)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DatasetVersion, "change_draft", dies)
    with pytest.raises(KeyboardInterrupt):
        version.set_masks_labels(TRUCK)
    assert labels(version) == {"a": None, "b": None}
    assert data["v"].get_masks_labels() == version.get_masks_labels() != {}
    assert "truck" not in str(version.get_masks_labels())


def test_counts_by_the_former_legend_that_come_late_are_removed(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = counted(data, tmp_path)
    other = data["v"]
    upsert = relabeling.Branch.upsert

    def overtaken(branch: relabeling.Branch, rows: object) -> int:
        monkeypatch.setattr(relabeling.Branch, "upsert", upsert)
        other.set_masks_labels(TRUCK)
        return upsert(branch, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(relabeling.Branch, "upsert", overtaken)
    version.add_frames([unexplained(tmp_path, "c", 3)], facts=True)
    assert labels(version) == {"a": None, "b": None, "c": None}


def test_counts_are_made_by_the_legend_that_another_handle_set(data: Dataset, tmp_path: Path) -> None:
    version = counted(data, tmp_path)
    data["v"].set_masks_labels(TRUCK)
    version.compute_facts()
    assert labels(version) == {"a": ["ground", "truck"], "b": ["ground"]}


def test_a_legend_waits_for_whoever_counts(data: Dataset, tmp_path: Path) -> None:
    version = counted(data, tmp_path)
    with version.lease("counting masks"), pytest.raises(VersionError, match="counting masks"):
        data["v"].set_masks_labels(TRUCK)
    assert labels(version) == {"a": ["car", "ground"], "b": ["ground"]}


def test_a_legend_joins_what_another_handle_set_meanwhile(data: Dataset) -> None:
    early = data.create_version("v")
    data["v"].set_masks_labels({1: "car"})
    join(early, [(stored({2: "tree"}), "…")])
    assert data["v"].get_masks_labels() == stored({1: "car", 2: "tree"})
    with pytest.raises(LegendError, match="value 1 means 'car' there and 'person' here"):
        join(early, [(stored({1: "person"}), "…")])
    assert data["v"].get_masks_labels() == stored({1: "car", 2: "tree"})


def test_a_writer_that_fails_after_the_legend_changed_leaves_no_counts_by_the_former(
    data: Dataset, tmp_path: Path
) -> None:
    version = counted(data, tmp_path)
    rows = version.rows().table()

    def write_and_fail() -> None:
        with version.writing() as branch:
            data["v"].set_masks_labels(TRUCK)
            branch.upsert(rows)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_and_fail()
    assert labels(version) == {"a": None, "b": None}


def test_a_long_change_of_a_legend_keeps_its_lease(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = counted(data, tmp_path)
    renewed: list[int] = []
    with version.writing() as branch:
        relabeling.forget_facts(branch, lambda: renewed.append(len(renewed)))
    assert renewed == [0, 1]  # for each batch, and once before the legend is kept
    given: list[object] = []
    monkeypatch.setattr(relabeling, "forget_facts", lambda _, *renew: given.extend(renew))
    version.set_masks_labels(TRUCK)
    assert len(given) == 1


def test_a_merge_that_dies_has_changed_the_legend_before_the_frames(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = data.create_version("base")
    base.set_masks_labels(CAR)
    base.add_frames([unexplained(tmp_path, "a", 2)])
    base.publish()
    ours, theirs = base.child("ours"), base.child("theirs")
    theirs.set_masks_labels(TRUCK)
    theirs.add_frames([unexplained(tmp_path, "n", 3)])

    def die(*_: object) -> None:
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(merge, "_apply", die)
        with pytest.raises(OSError, match="gone"):
            data.merge(ours, theirs)
    assert data["ours"].get_masks_labels() == stored(TRUCK)  # what is there has the meaning that it keeps
    assert data["ours"].frame_ids() == ["a"]
    data.merge(ours, theirs)
    assert data["ours"].frame_ids() == ["a", "n"]
