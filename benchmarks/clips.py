"""Mask video, read from the first picture to the last: smalti, PyAV to RGB, PyAV decoding alone. Writes results/clips.json.

    python benchmarks/clips.py [--quick]

The pictures are the CamVid masks of the shared data, where they are there, and a synthetic scene that moves as a whole, so
that no border stays where it was; libx264 4:2:0, crf 18, as PyAV encodes. All decode with one thread. Colours are lossy
here and every conversion to RGB rounds in its own way, so answers are compared by the share of pixels that agree (it
must be at least 99 %), not bit by bit.
"""

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import rivals
import smalti
from bars import Bar, is_quick, save
from clock import machine, race
from data import SHARED, make_scene, scene_palette
from masks import OURS

FPS = 15
FRAMES = 40
ALONE = "PyAV, decoding alone"


def clips(frames: int) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Name, (t, H, W, 3) RGB masks, (n, 3) legend colours."""
    files = sorted((SHARED / "camvid_seq/masks").glob("*_L.png"))[:frames]
    if files:
        rows = list(csv.reader((SHARED / "camvid_seq/legend.csv").open()))
        colors = [[int(v) for v in row[-3:]] for row in rows if row[-1].strip().isdigit()]
        yield "CamVid", np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files]), np.array(colors, np.uint8)
    palette = scene_palette()
    scene = palette[make_scene(720, 960)]
    yield "every border moves", np.stack([np.roll(scene, 4 * t, axis=1) for t in range(frames)]), palette


def encode(path: Path, masks: NDArray[np.uint8]) -> None:
    """H.264 4:2:0, crf 18."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18"})
        stream.height, stream.width = masks.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in masks:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def times_of(uri: str) -> list[float]:
    """Milliseconds of every picture."""
    with av.open(uri) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        return sorted(float(frame.pts * base) * 1e3 for frame in container.decode(stream))


def alone(uri: str) -> int:
    """Decode and throw away."""
    with av.open(uri) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def measure(uri: str, colors: NDArray[np.uint8]) -> dict[str, Any]:
    """Times of a whole pass, and how far the answers agree."""
    legend = smalti.Legend({tuple(color): f"class {n}" for n, color in enumerate(colors.tolist())})
    at_ms = times_of(uri)

    def ours() -> list[smalti.LabelMap]:
        jobs = [(uri, legend, ms) for ms in at_ms]
        return list(smalti.decode_masks(jobs, workers=1, lossy="nearest"))

    contestants: dict[str, Callable[[], Any]] = {OURS: ours, ALONE: lambda: alone(uri)}
    agree: dict[str, float] = {}
    answers = [found.data for found in ours()]
    for label, rival in rivals.load(("pyav_rgb",)).items():
        tables = rival.setup(colors)
        same = [np.mean(a == b) for a, b in zip(answers, rival.run(tables, uri), strict=True)]
        agree[label] = float(np.mean(same))
        if agree[label] < 0.99:
            raise SystemExit(f"{label} and smalti agree in {agree[label]:.2%} of pixels; at least 99 % were expected")
        contestants[label] = lambda rival=rival, tables=tables: sum(1 for _ in rival.run(tables, uri))
    return {"frames": len(at_ms), "agree": agree, "times": race(contestants, budget_s=3.0)}


def main() -> None:
    start, quick = machine(), is_quick()
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-"))
    found, bars = [], []
    try:
        for name, masks, colors in clips(8 if quick else FRAMES):
            path = folder / f"mask{len(found)}.mp4"
            encode(path, masks)
            found.append({"name": name, "size_hw": masks.shape[1:3], **measure(str(path), colors)})
            times = found[-1]["times"]
            what = f"mask video, sequential, nearest, as a share of the speed of decoding alone: {name}"
            bars.append(Bar(what, times[ALONE]["cpu_ms"] / times[OURS]["cpu_ms"], 0.6, 0.9))
    finally:
        shutil.rmtree(folder)
    save("clips", "Mask video", bars, quick=quick, machine=start, clips=found)


if __name__ == "__main__":
    main()
