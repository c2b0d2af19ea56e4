"""check(): each finding appears for its fault, says what it saw, and nothing appears for a sound set."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti import storage
from smalti.lint import CODES

RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)


def picture(rows: int = 40, columns: int = 60) -> np.ndarray:
    pixels = np.empty((rows, columns, 3), np.uint8)
    pixels[:] = RED
    pixels[:, columns // 3 :] = GREEN
    pixels[rows // 2 :, columns // 2 :] = BLUE
    return pixels


def save(path: Path, pixels: np.ndarray, **options: object) -> str:
    Image.fromarray(pixels).save(path, **options)
    return str(path)


@pytest.fixture
def frame(tmp_path: Path) -> sm.SingleFrame:
    made = sm.SingleFrame(
        save(tmp_path / "i.png", picture()), id="f", masks_source={"seg": save(tmp_path / "m.png", picture())}
    )
    for color, label in ((RED, "red"), (GREEN, "green"), (BLUE, "blue")):
        made.add_annotation(mask_rgb=color, labels=[label], mask_id="seg")
    return made


def codes(report: object) -> set[str]:
    return {f.code for f in report.findings}  # type: ignore[attr-defined]


def test_a_sound_frame_has_no_findings(frame: sm.SingleFrame) -> None:
    report = sm.check(frame)
    assert (report.findings, report.ok, report.frames, report.masks) == ([], True, 1, 1)
    assert json.loads(report.to_json())["ok"] is True


def only(report: object, code: str) -> object:
    (found,) = [f for f in report.findings if f.code == code]  # type: ignore[attr-defined]
    assert found.severity in ("error", "warning", "info")
    assert found.where
    assert found.hint
    return found


def test_missing_and_unreadable_files(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.source = str(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    frame.source_record.masks[0].uri = str(tmp_path / "bad.png")
    report = sm.check([frame])
    assert "none.png" in only(report, "file-missing").message
    assert "bad.png" in only(report, "file-unreadable").where
    assert not report.ok


def test_sizes(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.width, frame.height = 61, 40
    frame.source_record.masks[0].uri = save(tmp_path / "w.png", picture(40, 59))
    report = sm.check(frame)
    assert "59×40, the image 60×40: off by one" in only(report, "size-mismatch").message
    assert "61×40" in only(report, "size-record").message


def test_strangers_have_their_count_and_nearest_entry(frame: sm.SingleFrame, tmp_path: Path) -> None:
    pixels = picture()
    pixels[:5, :5] = (240, 240, 10)
    frame.source_record.masks[0].uri = save(tmp_path / "s.png", pixels)
    found = only(sm.check(frame), "unknown-colors")
    assert "25 pixels (1.04%)" in found.message
    assert "(240, 240, 10) on 25 px" in found.message
    assert found.severity == "error"


def test_a_legend_off_by_one_is_said_in_words(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.source_record.masks[0].uri = save(tmp_path / "o.png", picture() + np.array([1, 0, 0], np.uint8))
    assert "the legend is off by 1" in only(sm.check(frame), "legend-off").message


def test_soft_edges(frame: sm.SingleFrame, tmp_path: Path) -> None:
    soft = np.array(Image.fromarray(picture()).rotate(7, Image.Resampling.BICUBIC, fillcolor=RED))
    frame.source_record.masks[0].uri = save(tmp_path / "soft.png", soft)
    assert "on edges" in only(sm.check(frame), "anti-aliased").message


def test_lossy_codecs(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.source_record.masks[0].uri = save(tmp_path / "m.jpg", picture(), quality=80)
    report = sm.check(frame)
    assert "repair" in only(report, "lossy-colors").message
    assert report.ok
    frame.source_record.masks[0].encoding = "rgb24id"
    assert only(sm.check(frame), "lossy-ids").severity == "error"


def test_colors_too_close_for_the_codec(tmp_path: Path) -> None:
    grey = np.zeros((40, 60, 3), np.uint8)
    grey[:, 30:] = 1
    close = sm.SingleFrame(save(tmp_path / "i.png", grey), masks_source={"seg": save(tmp_path / "m.jpg", grey)})
    for value in (0, 1):
        close.add_annotation(mask_rgb=[value] * 3, labels=[f"class {value}"])
    found = only(sm.check(close), "legend-colors-close")
    assert found.severity == "error"
    assert "1 levels apart" in found.message


def test_void_and_empty_masks(frame: sm.SingleFrame, tmp_path: Path) -> None:
    pixels = np.zeros_like(picture())
    pixels[:2] = RED
    frame.source_record.masks[0].uri = save(tmp_path / "v.png", pixels)
    assert "95.0%" in only(sm.check(frame), "void-share").message
    frame.source_record.masks[0].uri = save(tmp_path / "e.png", np.zeros_like(pixels))
    assert only(sm.check(frame), "empty-mask").severity == "error"


def test_alpha_over_labels(frame: sm.SingleFrame, tmp_path: Path) -> None:
    rgba = np.dstack([picture(), np.full((40, 60), 255, np.uint8)])
    rgba[0, 0, 3] = 0
    frame.source_record.masks[0].uri = save(tmp_path / "a.png", rgba)
    assert "noise" in only(sm.check(frame), "alpha-hides-labels").message


def test_references_clashes_and_ids(frame: sm.SingleFrame) -> None:
    lost = frame.copy()
    lost.masks_source = {"one": "a.png", "two": "b.png"}
    assert "$.rois[0].mask.id" in only(sm.check(lost), "mask-reference").where
    clash = frame.copy()
    clash.add_annotation(mask_rgb=RED, labels=["crimson"], mask_id="seg")
    assert "'red' in one entry and 'crimson' in another" in only(sm.check(clash), "legend-clash").message
    assert "2 frames" in only(sm.check([frame, frame]), "duplicate-id").message


def test_unused_entries_are_reported_once_for_all(frame: sm.SingleFrame) -> None:
    frame.add_annotation(mask_rgb=(1, 1, 1), labels=["unicorn"], mask_id="seg")
    other = frame.copy()
    assert "unicorn" in only(sm.check([frame, other]), "legend-entry-unused").message


def test_modes_that_differ_within_a_folder(frame: sm.SingleFrame, tmp_path: Path) -> None:
    other = frame.copy()
    other.source_record.masks[0].uri = save(
        tmp_path / "rgba.png", np.dstack([picture(), np.full((40, 60), 255, np.uint8)])
    )
    assert "1 RGB, 1 RGBA" in only(sm.check([frame, other]), "mixed-modes").message


def test_exif_turns(frame: sm.SingleFrame, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    frame.source = save(tmp_path / "t.jpg", picture().transpose(1, 0, 2), exif=exif)
    report = sm.check(frame)
    assert "before it is turned" in only(report, "size-mismatch").message
    assert "EXIF 6" in only(report, "rotation-differs").message


def test_a_wrong_content_type(frame: sm.SingleFrame) -> None:
    frame.source_record.masks[0].content_type = "image/bmp"
    assert "image/bmp" in only(sm.check(frame), "content-type").message


def clip(path: Path, count: int) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 60, 40, "yuv420p"
        for _ in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(), format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def test_clips_out_of_step(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.source = clip(tmp_path / "a.mp4", 10)
    frame.source_record.masks[0].uri = clip(tmp_path / "b.mp4", 9)
    frame.source_record.masks[0].timestamp = 100
    report = sm.check(frame)
    assert "9 pictures, the source clip 10" in only(report, "clip-lengths").message
    assert "100 ms, its source at 0 ms" in only(report, "timestamp-differs").message
    frame.source_record.masks[0].timestamp = 123456789
    assert "1.23457e+08 ms" in only(sm.check(frame), "timestamp-outside").message


def test_paths_of_every_kind(frame: sm.SingleFrame, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(frame.to_json())
    (tmp_path / "bad.json").write_text('{"sources": [')
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "masks").mkdir()
    (tmp_path / "set" / "legend.csv").write_text(
        "name,r,g,b\nred,200,10,10\ngreen,10,200,10\nblue,10,10,200\ncrimson,200,10,10\n"
    )
    save(tmp_path / "set" / "images" / "a.png", picture())
    save(tmp_path / "set" / "images" / "b.png", picture())
    save(tmp_path / "set" / "masks" / "a_L.png", picture())
    report = sm.check([tmp_path / "f.json", tmp_path / "set", tmp_path / "bad.json", str(tmp_path / "gone.json")])
    assert report.frames == 2
    assert codes(report) == {"frame-unreadable", "file-missing", "unpaired", "legend-shared-color"}
    assert "'b'" in only(report, "unpaired").message


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    assert not sm.check([]).ok
    report = sm.check(tmp_path)
    assert codes(report) == {"nothing-checked"}


def test_every_code_is_explained_and_progress_counts(frame: sm.SingleFrame) -> None:
    assert all(severity in ("error", "warning", "info") and text for severity, text in CODES.values())
    done: list[int] = []
    sm.check([frame, frame.copy()], progress=done.append, workers=2)
    assert done == [1, 2]


def test_one_bad_line_hides_no_other(frame: sm.SingleFrame, tmp_path: Path) -> None:
    good = json.dumps(frame.to_dict())
    (tmp_path / "f.jsonl").write_text(f'{good}\n{{"sources": [\n{good.replace(frame.id, "second")}\n{{}}\n')
    report = sm.check(tmp_path / "f.jsonl")
    assert report.frames == 2
    places = [f.message for f in report.findings if f.code == "frame-unreadable"]
    assert [f"f.jsonl:{line}:" in said for line, said in zip((2, 4), sorted(places), strict=True)] == [True, True]
    (tmp_path / "f.json").write_text(f"[{good}, 5]")
    report = sm.check(tmp_path / "f.json")
    assert report.frames == 1
    assert "frame 1" in only(report, "frame-unreadable").message


def test_colors_that_luma_and_chroma_hardly_tell_apart(tmp_path: Path) -> None:
    blues = np.zeros((40, 60, 3), np.uint8)
    blues[:, 30:, 2] = 14  # 14 levels of blue are 2 of luma and 7 of chroma
    near = sm.SingleFrame(save(tmp_path / "i.png", blues), masks_source={"seg": save(tmp_path / "m.jpg", blues)})
    for value in (0, 14):
        near.add_annotation(mask_rgb=[0, 0, value], labels=[f"class {value}"])
    found = only(sm.check(near), "legend-colors-close")
    assert found.severity == "error"
    assert "cannot keep them apart" in found.message


def test_a_place_that_cannot_be_reached_is_not_a_bad_file(frame: sm.SingleFrame) -> None:
    frame.source_record.masks[0].uri = "http://127.0.0.1:9/m.png"
    with storage.using_storage(storage.Storage(retries=0, cache=None)):
        assert "reachable" in only(sm.check(frame), "file-unreadable").hint


def test_a_lossy_mask_without_a_legend_asks_for_one(frame: sm.SingleFrame, tmp_path: Path) -> None:
    frame.source_record.masks[0].uri = save(tmp_path / "m.jpg", picture(), quality=80)
    frame.annotations = []
    assert "no legend explains" in only(sm.check(frame), "lossy-ids").message
