"""Mask videos: what did not change keeps its labels, and no label depends on what was read before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.clips import encode

from smalti import Legend, SingleFrame, codecs, open_clips, steady
from smalti.codecs.clip import Clip
from smalti.codecs.raster import Raster
from smalti.decode import decode_raster
from smalti.steady import Steady

COLORS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (210, 210, 120), (0, 0, 0)]
LEGEND = Legend({color: f"c{n}" for n, color in enumerate(COLORS)})


def scene(step: int) -> NDArray[np.uint8]:
    """(96, 160, 3): a square that moves over two halves; every third picture is as the one before."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:, :80], picture[:, 80:] = COLORS[0], COLORS[1]
    at = 5 * (step - step // 3)
    picture[20 : 50 + step % 7, at : at + 30] = COLORS[2]
    return picture


def rasters(**options: Any) -> list[Raster]:
    with codecs.open_clip(encode([scene(n) for n in range(18)], **options)) as clip:
        return list(clip.rasters())


def same(one: Any, two: Any) -> None:
    assert np.array_equal(one.data, two.data)
    assert one.data.dtype == two.data.dtype
    for name in ("legend", "policy", "settled", "notes", "pts_ms", "mode", "codec"):
        assert getattr(one, name) == getattr(two, name), name


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv422p", "yuvj420p"])
@pytest.mark.parametrize("policy", ["nearest", "repair", "auto", "exact"])
def test_pictures_in_a_row_have_the_labels_of_pictures_alone(pixels: str, policy: Any) -> None:
    memory = Steady()
    for raster in rasters(pixels=pixels)[:8]:
        found = memory.label(raster, LEGEND, policy, None, None)
        same(found, decode_raster(raster, LEGEND, lossy=policy))


@pytest.mark.parametrize("tolerance", [None, 0, 12, -1, 400])
def test_every_tolerance(tolerance: int | None) -> None:
    memory = Steady()
    for raster in rasters()[:5]:
        alone = decode_raster(raster, LEGEND, lossy="nearest", tolerance=tolerance)
        same(memory.label(raster, LEGEND, "nearest", tolerance, None), alone)


def test_a_map_that_was_given_away_may_be_written_to() -> None:
    memory = Steady()
    raster = rasters()[0]
    for policy in ("nearest", "repair"):
        first = memory.label(raster, LEGEND, policy, None, None)
        kept = first.data.copy()
        first.data[:] = 77
        assert np.array_equal(memory.label(raster, LEGEND, policy, None, None).data, kept)


def test_another_legend_size_or_color_space_starts_afresh() -> None:
    memory = Steady()
    pictures = rasters()
    other = Legend({color: f"d{n}" for n, color in enumerate(reversed(COLORS))})
    small = replace(pictures[1], planes=tuple(np.ascontiguousarray(p[: len(p) // 2]) for p in pictures[1].planes or ()))
    for raster, legend in [
        (pictures[0], LEGEND),
        (pictures[0], other),
        (pictures[0], LEGEND),
        (small, LEGEND),
        (pictures[1], LEGEND),
        (replace(pictures[1], matrix="bt709"), LEGEND),
        (replace(pictures[1], full_range=True), LEGEND),
    ]:
        same(memory.label(raster, legend, "nearest", None, None), decode_raster(raster, legend, lossy="nearest"))


def test_what_the_kernel_is_not_made_for_goes_the_general_way() -> None:
    raster = rasters()[0]
    many = Legend({(n % 256, n // 256, 9): f"m{n}" for n in range(300)})
    wild = Legend({(-1, -1, -1): "any", (200, 30, 30): "red"})
    for legend in (many, wild):
        same(Steady().label(raster, legend, "nearest", None, None), decode_raster(raster, legend, lossy="nearest"))
    indices = Legend({1: "one", 200: "two"})
    same(Steady().label(raster, indices, "nearest", None, None), decode_raster(raster, indices, lossy="nearest"))


def test_only_changed_stretches_are_labelled_and_equal_pictures_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    label = steady.kernels.label_planes

    def noting(*args: Any) -> Any:
        found = label(*args)
        done.append(found.redone)
        return found

    monkeypatch.setattr(steady.kernels, "label_planes", noting)
    memory = Steady()
    first = rasters(options={"qp": "0"}, pixels="yuv444p")[0]
    assert first.planes is not None
    luma = first.planes[0].copy()
    luma[40, 100] ^= 255
    for raster in (first, first, replace(first, planes=(luma, *first.planes[1:]))):
        memory.label(raster, LEGEND, "nearest", None, None)
    assert done == [luma.shape[0] * -(-luma.shape[1] // 16), 0, 1]
    calls = []
    decode = steady.decode_raster
    monkeypatch.setattr(steady, "decode_raster", lambda *a, **o: calls.append(1) or decode(*a, **o))
    for raster in (first, first, replace(first, planes=(luma, *first.planes[1:]))):
        memory.label(raster, LEGEND, "repair", None, None)
    assert len(calls) == 2


def test_frames_of_a_clip_share_an_open_decoder_and_a_jump_is_one_seek(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smalti.codecs.film import Run

    path = tmp_path / "mask.mp4"
    path.write_bytes(encode([scene(n) for n in range(40)], options={"g": "10"}))
    opened, seeks = [], []
    init, seek = Clip.__init__, Run.seek
    monkeypatch.setattr(Clip, "__init__", lambda self, *a, **o: opened.append(o["uri"]) or init(self, *a, **o))
    monkeypatch.setattr(Run, "seek", lambda self, key: seeks.append(key) or seek(self, key))
    truth: dict[float, Any] = {}
    with codecs.open_clip(path.read_bytes(), uri="truth") as clip:
        for raster in clip.rasters():
            truth[float(raster.pts_ms or 0)] = decode_raster(raster, LEGEND, lossy="nearest").data
    opened.clear()
    for at_ms in (0, 40, 80, 1400, 1440, 120):
        frame = SingleFrame("front.jpg", mask_source=path)
        frame.source_record.masks[0].timestamp = at_ms
        assert np.array_equal(frame.label_map(legend=LEGEND, lossy="nearest").data, truth[at_ms])
    assert opened == [str(path)]
    assert len(seeks) == 2, "forward to 1400 ms, and back to 120 ms"
    open_clips.close_clips()
