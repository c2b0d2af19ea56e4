"""What is left of colour masks after a lossy codec: exact, nearest and repair, by mean IoU, pixel accuracy and speed.

    python benchmarks/lossy_masks.py                        the CamVid sequence of the shared data, else a made scene
    python benchmarks/lossy_masks.py MASKS --legend FILE    a folder of RGB or palette PNG of one size, and a legend file
    python benchmarks/lossy_masks.py --frames 8             fewer pictures

Each set is encoded by libx264 (default preset, 15 Hz, PyAV's own RGB conversion) and by Pillow's JPEG, decoded by
smalti, and compared with the PNGs as Pillow reads them. One confusion matrix over all pictures; the mean is over the
classes that the truth has. FFmpeg's conversion to YUV may round differently from run to run (it depends on where its
buffers lie), which moves the mean by some thousandths through classes of few pixels. Thin pixels are those of a truth
area that no three by three block of it covers.
"""

import argparse
import io
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smalti import kernels, lossy
from smalti.codecs import decode_still, open_clip
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.kernels.reference.repair import repair as reference_repair
from smalti.legend import Legend

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("SMALTI_REALDATA", HERE.parent.parent / "shared" / "data")) / "camvid_seq"
Labels = NDArray[np.integer[Any]]
Method = Callable[[Raster, NDArray[np.uint8], NDArray[Any]], Labels]
REFERENCE_FRAMES = 3


def read_folder(folder: Path, legend: Path, limit: int) -> tuple[NDArray[np.uint8], list[str], NDArray[np.uint8]]:
    """(n, 3) legend colours, their names, and (t, H, W, 3) masks, cut to even sizes."""
    read = Legend.read(legend, shared="merge")
    colors, _ = read.without_wildcards()
    names = ["/".join(entry.labels) for entry in read]
    files = sorted(folder.glob("*.png"))[:limit]
    if not files:
        raise SystemExit(f"{folder}: no *.png there; give a folder of masks")
    masks = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    height, width = (size // 2 * 2 for size in masks[0].shape[:2])
    return colors, names, np.stack([mask[:height, :width] for mask in masks if mask.shape == masks[0].shape])


def made_scene(frames: int, height: int = 720, width: int = 960) -> tuple[NDArray[Any], list[str], NDArray[np.uint8]]:
    """A street of areas, discs that move, and poles of one to four pixels; the same on every machine."""
    colors = np.array(
        [
            *([128, 64, 128], [70, 70, 70], [107, 142, 35], [0, 0, 142], [220, 20, 60], [220, 220, 0]),
            *([153, 153, 153], [70, 130, 180], [244, 35, 232], [102, 102, 156], [190, 153, 153], [0, 60, 100]),
        ],
        np.uint8,
    )
    random = np.random.default_rng(15)
    row, col = np.mgrid[:height, :width]
    discs = random.uniform([0, 0, -9, 8], [width, height, 9, 60], (40, 4))
    masks = []
    for t in range(frames):
        truth = np.where(row + col // 4 > height * 3 // 5, 0, np.where(col < width // 2 + row // 5, 1, 7))
        truth[(row > height // 3) & (np.sin(col / 37 + t / 9) * 40 + height // 2 > row)] = 2
        for number, (x, y, speed, radius) in enumerate(discs):
            truth[(row - y) ** 2 + (col - x - speed * t) ** 2 < radius**2] = 3 + number % 9
        for number in range(24):
            left = 20 + number * 39 + t
            truth[60 + 9 * number : 300 + 9 * number, left : left + 1 + number % 4] = 4 + number % 3
        masks.append(colors[truth])
    return colors, [f"class{i}" for i in range(len(colors))], np.stack(masks)


def h264(masks: NDArray[np.uint8], crf: int, pixel_format: str) -> Iterator[Raster]:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(15))
        stream.height, stream.width = masks.shape[1:3]
        stream.pix_fmt, stream.options = pixel_format, {"crf": str(crf)}
        for mask in masks:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(mask, format="rgb24")))
        container.mux(stream.encode())
    with open_clip(file.getvalue()) as clip:
        yield from clip.rasters()


def jpeg(masks: NDArray[np.uint8], quality: int) -> Iterator[Raster]:
    for mask in masks:
        file = io.BytesIO()
        Image.fromarray(mask).save(file, "JPEG", quality=quality)
        yield decode_still(file.getvalue())


ENCODINGS: dict[str, Callable[[NDArray[np.uint8]], Iterator[Raster]]] = {
    "h264 4:2:0 crf 18": lambda masks: h264(masks, 18, "yuv420p"),
    "h264 4:2:0 crf 23": lambda masks: h264(masks, 23, "yuv420p"),
    "h264 4:2:0 crf 28": lambda masks: h264(masks, 28, "yuv420p"),
    "h264 4:4:4 crf 18": lambda masks: h264(masks, 18, "yuv444p"),
    "jpeg 4:2:0 q 75": lambda masks: jpeg(masks, 75),
    "jpeg 4:2:0 q 90": lambda masks: jpeg(masks, 90),
}


def exact(raster: Raster, colors: NDArray[np.uint8], values: NDArray[Any]) -> Labels:
    packed = colors.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    keys, first = np.unique(packed, return_index=True)
    return kernels.gather_exact(to_rgb(raster), keys, values[first])


def repair_in_numpy(raster: Raster, colors: NDArray[np.uint8], values: NDArray[Any]) -> Labels:
    positions, _ = reference_repair(*lossy.planes_of(raster), lossy.colors_as_planes(raster, colors))
    return np.concatenate([np.zeros(1, values.dtype), values])[positions]


METHODS: dict[str, Method] = {
    "exact": exact,
    "nearest": lambda *args: lossy.nearest(*args)[0],
    "repair": lambda *args: lossy.repair(*args)[0],
    "repair, NumPy": repair_in_numpy,
}


def thin(truth: Labels) -> NDArray[np.bool_]:
    """Pixels of areas that no three by three block of one label covers."""
    around = np.pad(truth, 1, constant_values=-1)
    height, width = truth.shape
    core = np.ones((height, width), bool)
    for i in range(3):
        for j in range(3):
            core &= around[i : i + height, j : j + width] == truth
    grown = np.pad(core, 1)
    covered = np.zeros((height, width), bool)
    for i in range(3):
        for j in range(3):
            covered |= grown[i : i + height, j : j + width]
    return ~covered


def measure(
    method: Method, rasters: list[Raster], colors: NDArray[np.uint8], truth: Labels, fine: NDArray[np.bool_]
) -> dict[str, Any]:
    n = len(colors) + 1
    values = np.arange(1, n).astype(np.uint8 if n < 257 else np.uint16)
    matrix, thin_right, thin_all, seconds = np.zeros((n, n), np.int64), 0, 0, []
    for raster, expected, slim in zip(rasters, truth, fine, strict=False):
        start = time.thread_time()
        found = method(raster, colors, values)
        seconds.append(time.thread_time() - start)
        matrix += kernels.confusion(expected.astype(np.uint16), found.astype(np.uint16), n)
        thin_right += int((found == expected)[slim].sum())
        thin_all += int(slim.sum())
    right, shown, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    iou = right / np.maximum(shown + said - right, 1)
    present = shown > 0
    present[0] = False
    return {
        "miou": float(iou[present].mean()),
        "miou_of_classes_above_100_pixels": float(iou[present & (shown > 100)].mean()),
        "pixel_accuracy": float(right.sum() / matrix.sum()),
        "thin_recall": thin_right / max(thin_all, 1),
        "frames_per_second": 1 / statistics.median(seconds),
        "frames": len(seconds),
        "iou": {int(k) - 1: float(iou[k]) for k in np.flatnonzero(present)},
        "pixels": {int(k) - 1: int(shown[k]) for k in np.flatnonzero(present)},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", nargs="?", type=Path, help="folder of mask PNGs")
    parser.add_argument("--legend", type=Path, help="legend file; needed with a folder")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "lossy_masks.json")
    chosen = parser.parse_args()
    if chosen.masks and not chosen.legend:
        parser.error("a folder of masks needs --legend FILE")
    return chosen


def main() -> None:
    options = arguments()
    if options.masks:
        name, (colors, names, masks) = options.masks.name, read_folder(options.masks, options.legend, options.frames)
    elif (SHARED / "label_colors.txt").is_file():
        name = SHARED.name
        colors, names, masks = read_folder(SHARED / "masks", SHARED / "label_colors.txt", options.frames)
    else:
        name, (colors, names, masks) = "made scene", made_scene(min(options.frames, 16))
    truth = np.zeros(masks.shape[:3], np.int32)
    for label, color in reversed(list(enumerate(colors, 1))):
        truth[(masks == color).all(axis=3)] = label
    fine = np.stack([thin(picture) for picture in truth])
    results: dict[str, dict[str, Any]] = {}
    print(f"{name}: {len(masks)} masks of {masks.shape[2]}×{masks.shape[1]}, {len(colors)} colours, one thread")
    print(f"{'encoding':18} {'method':14} {'mIoU':>7} {'>100 px':>7} {'pixels':>8} {'thin':>7} {'frames/s':>9}")
    for encoding, encode in ENCODINGS.items():
        rasters = list(encode(masks))
        results[encoding] = {}
        for label, method in METHODS.items():
            some = rasters[:REFERENCE_FRAMES] if label == "repair, NumPy" else rasters
            row = results[encoding][label] = measure(method, some, colors, truth, fine)
            print(
                f"{encoding:18} {label:14} {row['miou']:7.4f} {row['miou_of_classes_above_100_pixels']:7.4f} "
                f"{row['pixel_accuracy']:8.5f} {row['thin_recall']:7.4f} {row['frames_per_second']:9.1f}"
                + (f"  (first {row['frames']} masks)" if row["frames"] < len(masks) else "")
            )
    print(f"\n{'class':20} {'pixels':>9}" + "".join(f" {encoding[5:]:>13}" for encoding in ENCODINGS))
    first = results[next(iter(ENCODINGS))]["repair"]
    for k, pixels in sorted(first["pixels"].items(), key=lambda item: -item[1]):
        cells = "".join(f" {results[encoding]['repair']['iou'][k]:13.4f}" for encoding in ENCODINGS)
        print(f"{names[k]:20} {pixels:9}{cells}")
    packages = ("smalti", "numpy", "av", "pillow")
    report = {
        "set": name, "masks": len(masks), "size_hw": list(masks.shape[1:3]), "names": names, "results": results,
        "native": kernels.IS_NATIVE, "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(), "ffmpeg": {k: list(v) for k, v in av.library_versions.items()},
        "versions": {package: version(package) for package in packages},
    }  # fmt: skip
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "from the checkout"


if __name__ == "__main__":
    main()
