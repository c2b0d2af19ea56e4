"""Legends that come with frames: what a version's masks mean is never changed by frames that are added to it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import SingleFrame
from smalti.cli import main
from smalti.cli.filling import waiting
from smalti.convert import png_bytes
from smalti.errors import LegendError
from smalti.records import Frame, Source
from smalti.store import open_store
from smalti.store.legends import joined

Rows = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*(str(a) for a in arguments), "--store", str(tmp_path / "store")])
        printed = capsys.readouterr()
        assert left.value.code == code, printed.err
        return printed.out + printed.err

    return run


def folder(place: Path, legend: dict[str, int], *names: str, value: int = 1) -> Path:
    """A folder of index masks, all of one value, with a legend file."""
    for name in names:
        for kind, pixels in (("images", np.zeros((3, 4, 3), np.uint8)), ("masks", np.full((3, 4), value, np.uint8))):
            (place / kind).mkdir(parents=True, exist_ok=True)
            (place / kind / f"{name}.png").write_bytes(png_bytes(pixels))
    (place / "legend.json").write_text(json.dumps(legend))
    return place


def meanings(tmp_path: Path, version: str = "v") -> dict[str, list[str]]:
    with open_store(tmp_path / "store") as store:
        found = store["mix"][version]
        return {f.id: [k for k, v in f.label_map().counts().items() if v] for f in found}  # type: ignore[union-attr]


@pytest.mark.parametrize("door", ["import", "add"])
def test_frames_with_another_legend_are_refused_and_nothing_is_written(tmp_path: Path, run: Any, door: str) -> None:
    first = folder(tmp_path / "a", {"ground": 0, "car": 1}, "a1", "a2")
    second = folder(tmp_path / "b", {"ground": 0, "sky": 1}, "b1")
    run("import", first, "--to", "mix@v", "--no-check")
    with open_store(tmp_path / "store") as store:
        before = store["mix"]["v"].rows().version
    copies = tmp_path / "copies"
    words = ["import", second, "--to", "mix@v", "--no-check", "--copy-masks", copies]
    said = run(*(words if door == "import" else ["frames", "add", "mix@v", second]), code=2)
    assert "mix@v reads masks 'seg' by another legend" in said
    assert "value 1 means 'car' there and 'sky' here" in said
    assert "another version" in said
    assert "smalti frames add DATASET@VERSION frames.jsonl" in said
    assert meanings(tmp_path) == {"a1": ["car"], "a2": ["car"]}
    assert not copies.exists()
    with open_store(tmp_path / "store") as store:
        assert store["mix"]["v"].rows().version == before
    # what the message says works
    run_file = tmp_path / "frames.jsonl"
    with pytest.raises(SystemExit):
        main(["import", str(second), "-o", str(run_file), "--no-check"])
    run("frames", "add", "mix@v", run_file)
    assert meanings(tmp_path) == {"a1": ["car"], "a2": ["car"], "b1": ["sky"]}


@pytest.mark.parametrize("door", ["import", "add"])
def test_a_legend_that_says_more_is_taken(tmp_path: Path, run: Any, door: str) -> None:
    run("import", folder(tmp_path / "a", {"ground": 0, "car": 1}, "a1"), "--to", "mix@v", "--no-check")
    more = folder(tmp_path / "b", {"car": 1, "sky": 2}, "b1", value=2)
    run(*(["import", more, "--to", "mix@v", "--no-check"] if door == "import" else ["frames", "add", "mix@v", more]))
    assert meanings(tmp_path) == {"a1": ["car"], "b1": ["sky"]}
    with open_store(tmp_path / "store") as store:
        (rows,) = store["mix"]["v"].get_masks_labels().values()
    assert [row["labels"] for row in rows] == [["ground"], ["car"], ["sky"]]


def test_both_doors_make_the_same_of_a_folder(tmp_path: Path, run: Any) -> None:
    source = folder(tmp_path / "a", {"ground": 0, "car": 1, "bus": 2}, "a1", "a2")
    run("import", source, "--to", "mix@v", "--no-check")
    run("frames", "add", "mix@w", source, code=2)  # there is no such version
    run("version", "create", "mix@w")
    run("frames", "add", "mix@w", source, "--facts")
    with open_store(tmp_path / "store") as store:
        imported, added = store["mix"]["v"], store["mix"]["w"]
        assert list(added.records()) == list(imported.records())
        assert added.get_masks_labels() == imported.get_masks_labels() != {}
        assert len(added.view("label:bus")) == 0
        assert [frame.id for frame in added.view("mask.labels:car")] == ["a1", "a2"]


@pytest.mark.parametrize("ending", ["arrow", "parquet", "jsonl"])
@pytest.mark.parametrize("option", [(), ("--facts",)])
def test_an_exported_version_takes_its_legend_along(tmp_path: Path, run: Any, ending: str, option: Any) -> None:
    run("import", folder(tmp_path / "a", {"ground": 0, "car": 1}, "a1"), "--to", "mix@v", "--no-check")
    out = tmp_path / "out" / f"frames.{ending}"
    out.parent.mkdir()
    assert ("keep them together" in run("frames", "export", "mix@v", out)) == (ending == "jsonl")
    run("version", "create", "mix@w")
    run("frames", "add", "mix@w", out, *option)
    run("frames", "add", "mix@w", out, *option)
    assert meanings(tmp_path, "w") == {"a1": ["car"]}
    with open_store(tmp_path / "store") as store:
        assert store["mix"]["w"].get_masks_labels() == store["mix"]["v"].get_masks_labels() != {}
        other = store["mix"].create_version("x")
        other.set_masks_labels({"seg": {1: "sky"}})
        store["mix"].create_version("plain").export_file(tmp_path / "plain" / f"frames.{ending}")
    said = run("frames", "add", "mix@x", out, *option, code=2)
    assert "mix@x reads masks 'seg' by another legend" in said
    assert "value 1 means 'sky' there and 'car' here; add them to another version" in said
    assert meanings(tmp_path, "x") == {}
    assert [path.name for path in (tmp_path / "plain").iterdir()] == [f"frames.{ending}"]
    with open_store(tmp_path / "store") as store:
        store["mix"].create_version("bare").export_file(out)  # without a legend, over one with a legend
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_files_whose_legends_contradict_each_other_are_refused_before_any_is_added(tmp_path: Path, run: Any) -> None:
    for name, legend in (("a", {"car": 1}), ("b", {"sky": 1})):
        run("import", folder(tmp_path / name, legend, f"{name}1"), "--to", f"mix@{name}", "--no-check")
        run("frames", "export", f"mix@{name}", tmp_path / f"{name}.parquet")
    run("version", "create", "mix@w")
    said = run("frames", "add", "mix@w", tmp_path / "a", tmp_path / "b.parquet", code=2)
    assert "value 1 means 'car' there and 'sky' here" in said
    with open_store(tmp_path / "store") as store:
        assert (len(store["mix"]["w"]), store["mix"]["w"].get_masks_labels()) == (0, {})


def test_a_file_with_a_damaged_legend_says_which(tmp_path: Path, run: Any) -> None:
    run("version", "create", "mix@w")
    (tmp_path / "f.jsonl").write_bytes(b"")
    (tmp_path / "f.jsonl.mask_labels.json").write_bytes(b'{"seg": 5}')
    said = run("frames", "add", "mix@w", tmp_path / "f.jsonl", code=2)
    assert "f.jsonl.mask_labels.json has legends that cannot be read" in said


def test_an_import_counts_masks_by_the_legend_that_it_brings(tmp_path: Path, run: Any) -> None:
    source = folder(tmp_path / "a", {"ground": 0, "car": 1}, "a1", "a2")
    run("import", source, "--to", "mix@v", "--no-check", "--facts")
    with open_store(tmp_path / "store") as store:
        version = store["mix"]["v"]
        assert version.compute_stats()["frames_with_facts"] == 2
        assert [frame.id for frame in version.view("mask.labels:car")] == ["a1", "a2"]
    assert "--facts was given without --to" in run("import", source, "--facts", code=2)


def _rows(*entries: tuple[list[int], str]) -> Rows:
    return [{"value": value, "labels": [label]} for value, label in entries]


def test_legends_join_by_what_reads_a_mask() -> None:
    car, sky = _rows(([1], "car")), _rows(([1], "sky"))
    both = _rows(([1], "car"), ([2], "bus"))
    assert joined({}, {"seg": car}, "v", "") == {"seg": car}
    assert joined({"_all_": car}, {"seg": car}, "v", "") == {"_all_": car}
    assert joined({"_all_": car}, {"seg": both}, "v", "") == {"_all_": car, "seg": both}
    assert joined({"seg": both}, {"_all_": car}, "v", "") == {"seg": both, "_all_": car}
    assert joined({"seg": car}, {"other": sky}, "v", "") == {"seg": car, "other": sky}
    for kept, more in (({"_all_": car}, {"seg": sky}), ({"seg": car}, {"_all_": sky})):
        with pytest.raises(LegendError, match=r"v reads masks 'seg' .* value 1 means 'car' there and 'sky' here; stop"):
            joined(kept, more, "v", "stop")
    with pytest.raises(LegendError, match="it has numbers and the frames have colors"):
        joined({"seg": car}, {"seg": _rows(([1, 2, 3], "car"))}, "v", "")
    with pytest.raises(LegendError, match=r"only one of them has color \(-1, 2, 3\)"):
        joined({"seg": _rows(([1, 2, 3], "car"))}, {"seg": _rows(([-1, 2, 3], "any"))}, "v", "")


@pytest.mark.parametrize("is_wild_here", [True, False])
def test_a_color_beside_one_that_takes_any_is_refused(is_wild_here: bool) -> None:
    wild = [{"value": [255, -1, -1], "labels": ["A"]}]
    exact = [*wild, {"value": [255, 0, 0], "labels": ["B"]}]
    kept, more = (wild, exact) if is_wild_here else (exact, wild)
    with pytest.raises(LegendError, match=r"only one of them has color \(255, 0, 0\)"):
        joined({"_all_": kept}, {"_all_": more}, "d@v", "…")
    assert joined({"_all_": exact}, {"_all_": exact}, "d@v", "…") == {"_all_": exact}


def test_frames_wait_as_they_are() -> None:
    record = Frame(id="x", sources=[Source(id="s", uri="i.png")], meta={"n": 2**70, "odd": float("inf")})
    with waiting([SingleFrame.on(record)]) as held:
        assert [frame.record for frame in held.frames()] == [record]


def test_a_folder_that_cannot_be_read_leaves_no_empty_version(tmp_path: Path, run: Any) -> None:
    (tmp_path / "empty").mkdir()
    run("import", tmp_path / "empty", "--to", "mix@v", code=2)
    assert not (tmp_path / "store").exists()


def test_a_diff_of_versions_names_the_values_that_mean_something_else(tmp_path: Path, run: Any) -> None:
    with open_store(tmp_path / "store") as store:
        before = store.create_dataset("mix").create_version("a")
        before.set_masks_labels({"seg": {1: "car", 2: "bus"}})
        before.publish().child("b").set_masks_labels({"seg": {1: "truck", 3: "sky"}})
    said = run("version", "diff", "mix@a", "b")
    assert "legend of masks 'seg': [1] car → truck, [2] bus → (nothing), [3] (nothing) → sky" in said
    assert "0 changed; 1 legends differ" in said
    found = json.loads(run("version", "diff", "mix@a", "b", "--json"))["legends"]["seg"]
    assert [row["labels"] for row in found["before"]] == [["car"], ["bus"]]
    assert [row["labels"] for row in found["after"]] == [["truck"], ["sky"]]
