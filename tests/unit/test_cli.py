"""The command line, as a user types it: what it writes, what it prints, and how it refuses."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smalti.cli import main
from smalti.demo import LEGEND, Street, write_demo
from smalti.errors import LegendError
from smalti.legend import Legend


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_demo(folder)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, printed.out, printed.err


def test_look_draws_the_overlay(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.png"
    code, text, _ = run(
        capsys, "look", street / "frame.json", "--mask", "seg", "-o", out, "--opacity", "1", "--label", "car"
    )
    assert code == 0
    assert "wrote" in text
    drawn = np.array(Image.open(out))
    cars = Street().at(0).labels == [e.labels[0] for e in LEGEND].index("car") + 1
    assert (drawn[cars] == (0, 0, 142)).all()
    assert not (drawn[~cars] == (0, 0, 142)).all(axis=1).any()


def test_look_needs_no_mask_id_where_one_is_used(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(capsys, "look", street / "frame.json", "-o", tmp_path / "o.png", "--json")
    assert code == 0
    assert json.loads(text)["labels"]["road"] > 0


def test_look_at_a_clip_as_sheet_and_as_film(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import av

    assert run(capsys, "look", street / "clip.json", "--sheet", 4, "-o", tmp_path / "s.png")[0] == 0
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size == (1286, 726)
    assert run(capsys, "look", street / "clip.json", "-o", tmp_path / "s.mp4")[0] == 0
    with av.open(str(tmp_path / "s.mp4")) as film:
        times = [float(p.time) for p in film.decode(video=0)]
    assert len(times) == 45
    assert times[-1] == pytest.approx(44 / 15, abs=0.002)


def test_decode_writes_entry_numbers_and_ids(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "decode", street / "frame.json", "--mask", "seg", "-o", tmp_path / "l.png", "--json")
    assert code == 0
    moment = Street().at(0)
    assert np.array_equal(np.array(Image.open(tmp_path / "l.png")), moment.labels)
    assert json.loads(text)["legend"][0] == {"index": 1, "labels": ["sky"], "value": [70, 130, 180]}
    assert (
        run(capsys, "decode", street / "frame.json", "--mask", "objects", "--ids", "-o", tmp_path / "ids.npy")[0] == 0
    )
    assert np.array_equal(np.load(tmp_path / "ids.npy"), moment.instances)


def test_check_says_and_exits(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "check", street / "frames.jsonl", street / "clip.json")
    assert code == 0
    assert "lossy-colors" in text
    broken = json.loads((street / "frame.json").read_text())
    broken["sources"][0]["masks"][0]["uri"] = "gone.png"
    (street / "broken.json").write_text(json.dumps(broken))
    code, text, _ = run(capsys, "check", street / "broken.json", "--json", "-o", tmp_path / "r.json")
    assert code == 1
    report = json.loads(text)
    assert report["findings"][0]["code"] == "file-missing"
    assert set(report["findings"][0]) == {"code", "severity", "where", "message", "hint"}
    assert json.loads((tmp_path / "r.json").read_text()) == report


def test_stats_count_what_the_scene_has(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(
        capsys, "stats", street / "frames.jsonl", "--mask", "seg", "--plot", tmp_path / "p.svg", "--json"
    )
    assert code == 0
    found = json.loads(text)
    truth = sum(int((Street().at(i * 0.8).labels == 1).sum()) for i in range(8))
    assert {row["label"]: row["pixels"] for row in found["labels"]}["sky"] == truth
    assert (found["frames"], found["masks"]) == (8, 8)
    assert ElementTree.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")
    code, text, _ = run(capsys, "stats", street / "frames.jsonl", "--mask", "seg")
    assert "road" in text


def test_demo_runs_the_whole_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "demo", tmp_path / "d")
    assert code == 0
    assert "smalti look" in text
    assert {p.name for p in (tmp_path / "d" / "out").iterdir()} >= {
        "overlay.png",
        "objects.png",
        "clip_overlay.png",
        "labels.svg",
        "check.json",
    }


def test_doctor_proves_the_kernels_agree(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "doctor", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["agree"] is True
    assert found["parts"]["numpy"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["look", "none.json"], "none.json"),
        (["loook"], "verbs are look"),
        (["decode", "FRAME", "--mask", "nope"], "'seg' of source 'default', 'objects' of source 'default'"),
        (["look", "FRAME", "--mask", "seg", "-o", "o.xyz"], ".png"),
        (["look", "FRAME", "--mask", "seg", "--sheet", "3"], "is not a clip"),
        (["look", "FRAME", "--source", "rear"], "'rear' was asked for"),
        (["look", "LINES"], "--frame"),
        (["look", "FRAME", "--mask", "seg", "--label", "tram"], "'tram'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    street: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    places = {"FRAME": str(street / "frame.json"), "LINES": str(street / "frames.jsonl")}
    code, _, error = run(capsys, *(places.get(a, a) for a in arguments))
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "--help")
    assert code == 0
    assert "look" in text
    assert "doctor" in text


def test_frames_without_an_image_are_shown_on_black(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((4, 6, 3), (9, 8, 7), np.uint8)).save(tmp_path / "m.png")
    rois = [{"sources": ["a"], "label": ["car"], "mask": {"id": "m", "value": [9, 8, 7]}}]
    record = {"sources": [{"id": "a", "uri": "", "masks": [{"id": "m", "uri": "m.png"}]}], "rois": rois}
    (tmp_path / "f.json").write_text(json.dumps(record))
    code, text, _ = run(capsys, "look", tmp_path / "f.json", "-o", tmp_path / "o.png", "--opacity", 1)
    assert code == 0
    assert "on black" in text
    assert (np.array(Image.open(tmp_path / "o.png")) == (9, 8, 7)).all()


@pytest.mark.parametrize(
    ("output", "said"),
    [("none/o.png", "make it first"), ("o.bmp", ".png"), ("o", ".png"), ("", "folder")],
)
def test_outputs_that_cannot_be_written_are_refused_at_once(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, said: str
) -> None:
    for verb in (["look"], ["decode"], ["look", "--sheet", 4]):
        code, _, error = run(capsys, *verb, street / "clip.json", "-o", tmp_path / output)
        assert code == 2
        assert said in error or "change the ending" in error


def test_a_sheet_is_a_picture(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "look", street / "clip.json", "--sheet", 4, "-o", tmp_path / "s.mp4")
    assert code == 2
    assert "change the ending" in error


def test_a_time_outside_the_mask_clip_is_clamped_when_asked(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((street / "clip.json").read_text())
    for mask in record["sources"][0]["masks"]:
        mask["timestamp"] = 1e9
    path = street / "late.json"
    path.write_text(json.dumps(record))
    code, _, error = run(capsys, "decode", path, "-o", tmp_path / "o.png")
    assert code == 2
    assert error.count("street_seg.mp4") == 1  # the file is named once
    code, text, _ = run(capsys, "decode", path, "--clamp", "-o", tmp_path / "o.png", "--json")
    assert code == 0
    assert "outside the clip" in json.loads(text)["notes"][0]


def test_choosing_among_frames_and_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = {"id": "one", "sources": [{"id": "a", "uri": "x.png", "masks": [{"id": i, "uri": "m.png"} for i in "st"]}]}
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(frame) + "\n" + json.dumps({**frame, "id": "two"}))
    assert "holds 2 frames; name one with --frame: one, two\n" in run(capsys, "decode", path)[2]
    assert "no frame has the id 'three'" in run(capsys, "decode", path, "--frame", "three")[2]
    assert "2 masks of source 'a' could be meant" in run(capsys, "decode", path, "--frame", "one")[2]
    assert "there is no mask 'u'" in run(capsys, "decode", path, "--frame", "one", "--mask", "u")[2]
    path.write_text("\n")
    assert "there is no frame in it" in run(capsys, "decode", path)[2]


def test_a_source_of_a_group_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = []
    for name, color in (("left", (1, 2, 3)), ("right", (4, 5, 6))):
        Image.fromarray(np.full((4, 6, 3), color, np.uint8)).save(tmp_path / f"{name}.png")
        sources.append({"id": name, "uri": f"{name}.png", "masks": [{"id": "seg", "uri": f"{name}.png"}]})
    rois = [
        {"sources": ["left", "right"], "label": [name], "mask": {"id": "seg", "value": list(color)}}
        for name, color in (("car", (1, 2, 3)), ("road", (4, 5, 6)))
    ]
    (tmp_path / "f.json").write_text(json.dumps({"sources": sources, "rois": rois}))
    out = tmp_path / "o.npy"
    for name, number in (("left", 1), ("right", 2)):
        assert run(capsys, "decode", tmp_path / "f.json", "--source", name, "-o", out)[0] == 0
        assert (np.load(out) == number).all()
    assert "--source" in run(capsys, "decode", tmp_path / "f.json", "--mask", "seg", "-o", out)[2]


def test_the_cache_is_shown_and_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from smalti import storage

    with storage.using_storage(storage.Storage(cache=storage.Cache(tmp_path, max_bytes=5_000_000))):
        assert "0 files, 0.0 MB (at most 5 MB)" in run(capsys, "cache", "show")[1]
        shown = json.loads(run(capsys, "cache", "show", "--json")[1])
        assert shown["folder"] == str(tmp_path)
        assert json.loads(run(capsys, "cache", "clear", "--json")[1])["files"] == 0


def test_messages_of_the_operating_system_say_what_to_do(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for legend, said in ((tmp_path / "no.csv", "no such legend file"), (tmp_path, "this is a folder")):
        code, _, error = run(capsys, "look", street / "frame.json", "--legend", legend)
        assert code == 2
        assert said in error
        assert "Errno" not in error


def test_counting_a_mask_that_no_frame_has(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "stats", street / "frame.json", "--mask", "zz")
    assert code == 2
    assert "'zz'" in error


def test_bars_are_xml_whatever_the_names_and_numbers() -> None:
    from smalti.plots import bar_chart

    text = bar_chart("a<b", [("x\0<y>", 12.3456), ("z", 3.6e-6), ("none", 0)], unit="%")
    written = [part.text for part in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert written == ["a<b", "x\ufffd<y>", "12.35%", "z", "<0.01%", "none", "0%"]


def test_a_legend_may_be_named_by_uri(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set" / "masks").mkdir(parents=True)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "set" / "masks" / "a.png")
    (tmp_path / "told.csv").write_text("name,r,g,b\ncar,9,9,9\n")
    _, text, _ = run(capsys, "check", tmp_path / "set", "--legend", (tmp_path / "told.csv").as_uri(), "--json")
    assert "(1, 2, 3)" in text  # the colour that this legend does not name


def test_a_legend_in_python_is_a_file() -> None:
    with pytest.raises(LegendError, match=r"s3://b/l\.csv: a legend is read from a file"):
        Legend.read("s3://b/l.csv")
