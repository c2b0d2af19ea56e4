"""Import and export, uploads, mask facts, maintenance, verification, backup and purge."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from smalti import storage, wire
from smalti.errors import FrameError, QueryError, StorageError, VersionError
from smalti.facts import MaskFacts
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import Dataset, DatasetVersion, Store, ingest, open_store
from smalti.store.upload import Uploader
from smalti.testing import frame, frames


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def data(store: Store) -> Dataset:
    return store.create_dataset("data")


# ---------------------------------------------------------------------------------------------------- import, export
@pytest.mark.parametrize("ending", ["jsonl", "arrow", "parquet"])
def test_an_export_that_fails_leaves_what_was_there(
    data: Dataset, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = data.create_version("v")
    version.add_frames(frames(3))
    version.export_file(tmp_path / f"out.{ending}")
    before = (tmp_path / f"out.{ending}").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wire, "dump_line", full)
    monkeypatch.setattr(DatasetVersion, "tables", full)
    with pytest.raises(OSError, match="No space"):
        version.export_file(tmp_path / f"out.{ending}")
    assert (tmp_path / f"out.{ending}").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [f"out.{ending}"]


@pytest.mark.parametrize("ending", ["jsonl", "arrow", "parquet"])
def test_what_is_exported_is_imported(data: Dataset, tmp_path: Path, ending: str) -> None:
    given = [*frames(30), frame(40, extra={"saved": 1}, meta_blob={"a": [None]}), frame(41, timestamp=2**53 + 1)]
    first, second = data.create_version("first"), data.create_version("second")
    first.add_frames(given)
    assert first.export_file(tmp_path / f"out.{ending}") == 32
    assert second.import_file(tmp_path / f"out.{ending}") == []
    assert list(second.records()) == list(first.records())
    assert len(data.diff("first", "second")) == 0


def test_json_lines_in_any_dialect_are_taken_and_bad_ones_named(data: Dataset, tmp_path: Path) -> None:
    odd = wire.to_dict(frame(1)) | {"id": 7, "rois": [{"labels": "car", "poly": [[0, 0], [1, 1]]}]}
    bare = {"sources": [{"id": "a", "uri": "u"}]}
    lines = [json.dumps(odd), "", "{oops", json.dumps(bare), json.dumps({"id": "x", "sources": []})]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    version = data.create_version("v")
    failed = version.import_file(tmp_path / "in.jsonl")
    assert [item.error.split(": ")[0].rpartition("/")[2] for item in failed] == ["in.jsonl:3", "in.jsonl:5"]
    assert [item.id for item in failed] == [None, "x"]
    assert [item.id for item in version.add_frames(lines[2:])] == [None, "x"]
    assert {record.id for record in version.records()} == {"7", wire.stable_id(wire.from_dict(bare))}
    assert version.get_record("7").rois[0].label == ["car"]


def test_a_file_of_another_kind_is_refused(data: Dataset, tmp_path: Path) -> None:
    version = data.create_version("v")
    with pytest.raises(FrameError, match="names no format"):
        version.import_file("frames.csv")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FrameError, match="not readable as parquet"):
        version.import_file(tmp_path / "x.parquet")
    with pytest.raises(FileNotFoundError):
        version.import_file(tmp_path / "none.arrow")
    assert data.catalog.get_lease(version.id) is None


# ----------------------------------------------------------------------------------------------------------- uploads
def test_local_files_are_uploaded_and_hashed(data: Dataset, tmp_path: Path) -> None:
    for name, text in (("i.png", b"image"), ("m.png", b"mask")):
        (tmp_path / name).write_bytes(text)
    source = Source(id="s", uri=str(tmp_path / "i.png"), masks=[Mask(id="seg", uri=(tmp_path / "m.png").as_uri())])
    good = Frame(id="good", sources=[source, Source(id="far", uri="s3://b/x.png")])
    bad = Frame(id="bad", sources=[Source(id="s", uri=str(tmp_path / "missing.png"))])
    version = data.create_version("v")
    (failed,) = version.add_frames([good, bad], upload_to=str(tmp_path / "bucket"))
    assert (failed.id, failed.kind) == ("bad", "upload")
    (found,) = version.records()
    assert Path(found.sources[0].uri).read_bytes() == b"image"
    assert Path(found.sources[0].masks[0].uri).read_bytes() == b"mask"
    assert found.sources[0].uri.startswith(f"{tmp_path / 'bucket'}/{data.id}/{version.id}/")
    digests = [hashlib.sha256(text).hexdigest() for text in (b"image", b"mask")]
    assert found.sources[0].meta["hash"] == {"source": digests[0], "mask_source": [digests[1]]}
    assert found.sources[1].uri == "s3://b/x.png"
    assert source.uri == str(tmp_path / "i.png")


def test_an_upload_is_tried_again_and_given_up(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "i.png").write_bytes(b"image")
    item = Frame(id="a", sources=[Source(id="s", uri=str(tmp_path / "i.png"))])
    put, calls, waited = storage.put, [0], []

    def flaky(uri: str, content: bytes) -> None:
        calls[0] += 1
        if calls[0] % 5 or calls[0] > 5:
            raise StorageError("the line is down")
        put(uri, content)

    monkeypatch.setattr("smalti.store.upload.storage.put", flaky)
    uploader = Uploader(data.create_version("v"), str(tmp_path / "bucket"), wait=waited.append)
    failed: list[Any] = []
    assert len(list(uploader.upload([item], failed))) == 1
    assert len(waited) == 4
    (tmp_path / "j.png").write_bytes(b"other")
    other = Frame(id="b", sources=[Source(id="s", uri=str(tmp_path / "j.png"))])
    assert list(uploader.upload([other], failed)) == []
    assert "the line is down" in failed[0].error


# ------------------------------------------------------------------------------------------------------------- facts
def masked(folder: Path, name: str, columns: int) -> Frame:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :columns] = (1, 2, 3)
    Image.fromarray(pixels).save(folder / f"{name}.png")
    source = Source(id="s", uri="i.png", masks=[Mask(id="seg", uri=str(folder / f"{name}.png"))])
    return Frame(id=name, sources=[source], rois=[Roi(label=["car"], mask=RoiMask(id="seg", value=[1, 2, 3]))])


def test_facts_are_counted_once_and_kept(data: Dataset, tmp_path: Path) -> None:
    version = data.create_version("v")
    broken = Frame(id="broken", sources=[Source(id="s", uri="i", masks=[Mask(id="m", uri=str(tmp_path / "no.png"))])])
    version.add_frames(
        [
            masked(tmp_path, "a", 2),
            masked(tmp_path, "b", 8),
            broken,
            Frame(id="bare", sources=[Source(id="s", uri="u")]),
        ]
    )
    etags = [version.etag(id_) for id_ in version.frame_ids()]
    assert [item.id for item in version.compute_facts(threads=2)] == ["broken"]
    rows = {
        row["id"]: row
        for row in version.rows().table(["id", "px_known", "px_label", "px_count", "px_void", "px_masks"]).to_pylist()
    }
    assert (rows["a"]["px_label"], rows["a"]["px_count"], rows["a"]["px_void"]) == (["car"], [8], 0.75)
    assert (rows["b"]["px_count"], rows["b"]["px_void"]) == ([32], 0.0)
    assert [rows[id_]["px_known"] for id_ in ("broken", "bare")] == [False, True]
    (facts,) = msgspec.json.decode(rows["a"]["px_masks"], type=list[MaskFacts])
    assert (facts.mask, facts.size_hw, facts.codec) == ("seg", (4, 8), "png")
    assert [version.etag(id_) for id_ in version.frame_ids()] == etags
    (tmp_path / "a.png").unlink()
    assert [item.id for item in version.compute_facts()] == ["broken"]  # the others are not opened again
    assert {item.id for item in version.compute_facts(again=True)} == {"a", "broken"}


def test_facts_at_import_and_after_an_edit(data: Dataset, tmp_path: Path) -> None:
    version = data.create_version("v")
    assert version.add_frames([masked(tmp_path, "a", 2)], facts=True) == []
    assert version.rows().count("px_known") == 1
    version.add_frames([masked(tmp_path, "a", 3)])
    assert version.rows().count("px_known") == 0
    version.publish(facts=True)
    assert version.stats["frames_with_facts"] == 1


@pytest.mark.parametrize("is_bulk", [False, True])
def test_an_edit_keeps_the_counts_of_masks_that_did_not_change(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_bulk: bool
) -> None:
    if is_bulk:
        monkeypatch.setattr(ingest, "FEW", 1)
    version = data.create_version("v")
    before = [masked(tmp_path, name, 2) for name in "abcdef"]
    assert version.add_frames([*before, Frame(id="bare", sources=[Source(id="s", uri="u")])], facts=True) == []
    replace = msgspec.structs.replace
    box = Roi(label=["tree"], poly=[0, 0, 1, 0, 1, 1], sources=["s"])
    other = Roi(label=["truck"], mask=RoiMask(id="seg", value=[1, 2, 3]))
    moved = replace(before[4].sources[0], masks=[Mask(id="seg", uri="elsewhere.png")])
    edited = [
        replace(before[0], meta={"edited": True}),
        replace(before[1], rois=[box, *before[1].rois]),
        replace(before[2], rois=[other]),
        replace(before[4], sources=[moved]),
        replace(before[5], rois=[]),
    ]
    columns = ["id", "px_known", "px_count", "px_bucket", "px_void", "px_masks"]
    counted = {row["id"]: row for row in version.rows().table(columns).to_pylist()}
    version.update_frame(edited[0])
    assert version.update_frames([*edited, Frame(id="new", sources=[Source(id="s", uri="u")])]) == []
    found = {row["id"]: row for row in version.rows().table(columns).to_pylist()}
    assert {id_ for id_, row in found.items() if row["px_known"]} == {"a", "b", "d", "bare"}
    assert {id_: found[id_] for id_ in ("a", "b", "d", "bare")} == {
        id_: counted[id_] for id_ in ("a", "b", "d", "bare")
    }
    assert version.get_record("b").rois[0] == box
    assert data.store.verify().problems == []


# ------------------------------------------------------------------------------------------------- upkeep and verify
def test_maintenance_tidies_drafts_and_sweeps_what_crashes_left(data: Dataset, store: Store) -> None:
    draft = data.create_version("v")
    for number in range(0, 300, 30):
        draft.add_frames(frames(30, start=number))
    data.engine.create_branch("v-orphan.lance")
    tree = data.engine.uri + "/tree"
    Path(tree, "v-half.lance", "_versions").mkdir(parents=True)
    done = store.maintain()
    assert (done.tidied, done.swept) == (["data@v"], [])
    assert draft.rows().raggedness(1 << 16)[0] == 1
    assert set(draft.rows().indices()) >= {"id", "labels", "labelsets", "meta_kv"}
    assert sorted(store.maintain(sweep_after=timedelta(0)).swept) == ["v-half.lance", "v-orphan.lance"]
    assert sorted(path.name for path in Path(tree).iterdir()) == [draft.row.branch]
    assert store.verify().problems == []
    with pytest.raises(ValueError, match="1 day"):
        store.maintain(older_than=timedelta(hours=1))


def test_a_busy_version_is_skipped(data: Dataset, store: Store) -> None:
    draft = data.create_version("v")
    with draft.lease("somebody"):
        assert "somebody" in store.maintain().skipped["data@v"]


def test_a_child_of_an_indexed_version_survives_compaction(data: Dataset, store: Store) -> None:
    first = data.create_version("v")
    first.add_frames(frames(300))
    child = first.publish().child("w")
    child.add_frames([frame(number, blob="x") for number in range(0, 300, 2)])
    store.maintain()
    assert child.rows().count("id = 'f0004'") == 1
    assert child.rows().count("array_has(labels, 'car')") == 150
    assert first.rows().count("array_has(labels, 'car')") == 150
    assert len(data.diff("v", "w").changed) == 150


def test_verify_finds_what_is_wrong(data: Dataset, store: Store) -> None:
    version = data.create_version("v")
    version.add_frames(frames(5))
    assert store.verify().frames == {"data@v": 5}
    with version.writing() as branch:
        branch.dataset.update({"blob": "'tampered'"}, where="id = 'f0002'")
        branch.dataset.update({"px_void": "0.5", "labels": "make_array('x')"}, where="id = 'f0003'")
    problems = store.verify().problems
    assert any("'f0002' is not what its hash says" in text for text in problems)
    assert any("column labels" in text for text in problems)
    data.engine.delete_branch(version.row.branch)
    assert "is not there" in store.verify().problems[0]


# ---------------------------------------------------------------------------------------------------- backup, purge
def family(data: Dataset) -> None:
    first = data.create_version("first")
    first.add_frames(frames(20))
    first.set_masks_labels({(1, 2, 3): "car"})
    data.declare("meta.n", "int")
    second = first.publish().child("second")
    second.add_frames([frame(1, blob="x"), frame(30)])
    second.delete_frames(["f0002", "f0003"])
    third = second.publish().child("third")
    third.add_frames([frame(3, blob="back"), frame(31)])
    data["first"].child("side").delete_frames(["f0001"])


def test_a_backup_is_the_same_store_and_a_restore_too(data: Dataset, store: Store, tmp_path: Path) -> None:
    family(data)
    copied = store.backup(tmp_path / "backup")
    assert copied == {"data@first": 20, "data@second": 19, "data@third": 21, "data@side": 19}
    with pytest.raises(VersionError, match="not empty"):
        store.backup(tmp_path / "backup")
    open_store(tmp_path / "backup").backup(tmp_path / "restored")
    for place in ("backup", "restored"):
        other = open_store(tmp_path / place)
        assert other.verify().problems == []
        for version in data.versions():
            twin = other["data"][version.name]
            assert (twin.id, twin.state, twin.stats) == (version.id, version.state, version.stats)
            assert list(twin.records()) == list(version.records())
        assert other["data"].diff("first", "third").changed == data.diff("first", "third").changed
        assert other["data"]["second"].rows().count("m__n >= 18") == 3
        assert [depth for depth, _ in other["data"].tree()] == [depth for depth, _ in data.tree()]


def damaged(folder: Path, was: bytes, now: bytes) -> int:
    """Change bytes of data files in place; returns how often."""
    places = 0
    for path in folder.rglob("*.lance"):
        if path.is_file() and was in (content := path.read_bytes()):
            places += content.count(was)
            path.write_bytes(content.replace(was, now))
    return places


@pytest.mark.parametrize(
    ("was", "now"), [(b'"city":"mark-33"', b'}city":"mark-33"'), (b'"camera":"c-33"', b'"camera":"c-33 ')]
)
def test_verify_names_the_frame_whose_bytes_are_damaged(
    data: Dataset, store: Store, tmp_path: Path, was: bytes, now: bytes
) -> None:
    version = data.create_version("v")
    given = [
        Frame(
            id=f"d{n}",
            sources=[Source(id="s", uri="i.png", meta={"camera": f"c-{n}"})],
            meta={"city": f"mark-{n}"},
        )
        for n in range(60)
    ]
    version.add_frames(given)
    data.create_version("well").add_frames(frames(3))
    assert damaged(tmp_path / "store", was, now)
    verdict = open_store(tmp_path / "store").verify()
    (problem,) = verdict.problems
    assert problem.startswith("data@v: frame 'd33' cannot be read: ")
    assert verdict.frames == {"data@v": 60, "data@well": 3}


def test_verify_does_not_advise_to_verify(data: Dataset, tmp_path: Path) -> None:
    data.create_version("v").add_frames(frames(3))
    for path in (tmp_path / "store").rglob("*.lance"):
        if path.is_file():
            path.unlink()
    (problem,) = open_store(tmp_path / "store").verify().problems
    assert problem.startswith("data@v: ")
    assert "run `smalti store verify`" not in problem


def bytes_with(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_a_purge_erases_a_frame_from_every_version_and_from_disk(data: Dataset, store: Store, tmp_path: Path) -> None:
    family(data)
    third = data["third"]
    third.add_frames([frame(50, blob="SECRET-ONE")])
    third.add_frames([frame(50, blob="SECRET-TWO")])
    third.delete_frames(["f0050"])
    expected = {v.name: [r for r in v.records() if r.id not in ("f0001", "f0050")] for v in data.versions()}
    assert bytes_with(tmp_path / "store", b"SECRET-")
    erased = store.purge(["f0001", "f0050"], who="ann", why="asked to be forgotten")
    assert erased == {"data@first": 1, "data@second": 1, "data@third": 1}
    assert not bytes_with(tmp_path / "store", b"SECRET-")
    found = store["data"]
    assert {v.name: list(v.records()) for v in found.versions()} == expected
    assert found["second"].is_published
    assert store.verify().problems == []
    assert store.catalog.audit()[0].detail["why"] == "asked to be forgotten"
    found["third"].add_frames([frame(60)])
    assert found["third"].publish().is_published


def test_a_token_outlives_a_backup_and_no_purge(data: Dataset, store: Store, tmp_path: Path) -> None:
    first = data.create_version("first")
    first.add_frames(frames(30))
    handle = first.publish()

    def walk(place: Any, resume: str | None = None) -> Any:
        view = open_store(place)["data"]["first"].view().set_iteration_parameters("random", random_seed=3)
        return view.iterate(resume=resume, output=["id"])

    for name in ("one", "two"):
        iterator = walk(store.uri)
        delivered = [next(iterator)["id"] for _ in range(10)]
        store.backup(tmp_path / name)
        rest = [item["id"] for item in walk(tmp_path / name, iterator.state())]
        assert len({*delivered, *rest}) == len(delivered) + len(rest) == len(open_store(store.uri)["data"]["first"])
        store.purge([rest[0]], who="ann", why="test")
        with pytest.raises(QueryError, match="the frames, filters, order or seed have changed"):
            walk(store.uri, iterator.state())
    with pytest.raises(StorageError, match="open it again"):
        list(handle.records())


def test_a_purge_needs_a_reason_and_a_dead_one_is_finished(
    data: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(data)
    with pytest.raises(FrameError, match="frame_ids is one str"):
        store.purge("f0001", who="ann", why="asked")
    with pytest.raises(VersionError, match="who asked"):
        store.purge(["f0001"], who="ann", why=" ")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smalti.store.copying.finish_move", die)
    with pytest.raises(KeyboardInterrupt):
        store.purge(["f0001"], who="ann", why="test")
    monkeypatch.undo()
    again = open_store(store.uri)
    assert [len(version) for version in again["data"].versions()] == [19, 18, 20, 19]
    assert again.verify().problems == []
    assert len(list(Path(store.uri).glob("*.lance"))) == 1
