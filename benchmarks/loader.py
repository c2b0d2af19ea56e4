"""The torch loader beside a plain torch Dataset: CamVid, random windows of 512×512, two workers, the second epoch.

    python benchmarks/loader.py              about two minutes
    python benchmarks/loader.py --quick      one short turn, nothing is written

Both keep their workers from epoch to epoch, and epochs take turns. Our first epoch decodes each mask and keeps its label
map; the images are decoded from their JPEG files by both, every time.
"""

import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import smalti
from bars import CANNOT_RUN, Bar, is_quick, save
from clock import Times, race
from data import SHARED

try:
    import torch

    from rivals.opencv_torch import PlainDataset, label, make_table
except ImportError as missing:
    print(f"without the loader's rival: {missing}")
    raise SystemExit(CANNOT_RUN) from None

from smalti.feed.samples import Samples
from smalti.feed.torch import loader
from smalti.kept import KeptMaps

SET = SHARED / "camvid_seq"
CROP_HW = (512, 512)
BATCH = 8
WORKERS = 2
OURS = "smalti"
KEEPING_NOTHING = "smalti, no map kept"

Classes = dict[tuple[int, int, int], int]


def read_classes() -> Classes:
    """Colour → number, in the order of CamVid's own list."""
    lines = [line.split() for line in (SET / "label_colors.txt").read_text().splitlines() if line.strip()]
    return {(int(r), int(g), int(b)): number for number, (r, g, b, *_) in enumerate(lines)}


def read_pairs(copies: int) -> list[tuple[str, str]]:
    """(image, mask), each so many times: an epoch that is long beside its start and its end."""
    images = sorted((SET / "frames_jpg").glob("*.jpg"))
    return [(str(path), str(SET / "masks" / f"{path.stem}_L.png")) for path in images] * copies


def make_view(pairs: list[tuple[str, str]], classes: Classes) -> smalti.DataView:
    """The same as a view, in random order."""
    frames = []
    for number, (image, mask) in enumerate(pairs):
        frame = smalti.SingleFrame(image, id=f"{number:06d}", context_id="camvid", mask_source=mask)
        for color in classes:
            frame.add_annotation(mask_rgb=color, labels=[f"class {classes[color]}"])
        frames.append(frame)
    view = smalti.DataView(frames, iteration_order="random")
    return view.map_labels({f"class {number}": number for number in classes.values()})


def cpu_s() -> float:
    """CPU seconds of this process and of those that it has started and that still run."""
    tick = os.sysconf("SC_CLK_TCK")
    spent = time.process_time()
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / tick
    return spent


def one_epoch(feed: Iterable[Any], samples: int) -> tuple[float, float]:
    """(wall, CPU) milliseconds a sample."""
    start, start_cpu, seen = time.perf_counter(), cpu_s(), 0
    for images, masks in feed:
        assert images.shape[1:] == (3, *CROP_HW)
        assert masks.shape[1:] == CROP_HW
        assert (images.dtype, masks.dtype) == (torch.uint8, torch.int64)
        seen += len(images)
    assert seen == samples
    return (time.perf_counter() - start) / samples * 1e3, (cpu_s() - start_cpu) / samples * 1e3


def race_epochs(feeds: dict[str, Iterable[Any]], samples: int, turns: int) -> Times:
    """Whole epochs in turn, after one of each that is not counted."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in feeds}
    for feed in feeds.values():
        one_epoch(feed, samples)
    for _ in range(turns):
        for name, feed in feeds.items():
            found[name].append(one_epoch(feed, samples))
    return {
        name: {
            "wall_ms": statistics.median(wall for wall, _ in each),
            "cpu_ms": statistics.median(cpu for _, cpu in each),
            "runs": len(each),
        }
        for name, each in found.items()
    }


def check_same(view: smalti.DataView, plain: Any) -> None:
    """Whole pictures are equal, classes and colours alike, before anything is timed; JPEG within its decoders' rounding."""
    whole = Samples(view.clone().set_iteration_parameters("sequential"), dtype="int64")
    for number in (0, len(plain.pairs) // 2):
        image, truth = plain[number]
        mine = whole[number]
        assert (torch.from_numpy(mine.mask) == truth).all(), "the classes differ"
        worst = (torch.from_numpy(mine.image).permute(2, 0, 1).int() - image.int()).abs().max()
        assert worst <= 8, f"the pictures differ by {worst}"


def mask_times(view: smalti.DataView, shelf: KeptMaps, plain: Any, files: int) -> Times:
    """The mask of a window alone, in this process, as an int64 tensor that is let go before the next is made."""
    kept = Samples(view, crop=CROP_HW, dtype="int64", kept=shelf)
    bare = Samples(view, crop=CROP_HW, dtype="int64")
    for position in range(len(kept)):
        kept.mask(position)

    def each(mask: Callable[[int], Any]) -> Callable[[], None]:
        def work() -> None:
            for position in range(files):
                torch.as_tensor(mask(position))

        return work

    found = race(
        {
            OURS: each(kept.mask),
            KEEPING_NOTHING: each(bare.mask),
            label: each(plain.mask),
        },
        budget_s=1.5,
    )
    for times in found.values():
        times["cpu_ms"] /= files
        times["wall_ms"] /= files
    return found


def main() -> None:
    quick = is_quick()
    classes, pairs = read_classes(), read_pairs(4 if quick else 20)
    if not pairs:
        print(f"without {SET.name}: the shared folder of real data is not there")
        raise SystemExit(CANNOT_RUN)
    torch.set_num_threads(1)
    table, view = make_table(classes), make_view(pairs, classes)
    height, width = 720, 960
    check_same(view, PlainDataset(pairs, table, (height, width)))
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-"))
    try:
        shelf, plain = KeptMaps(folder), PlainDataset(pairs, table, CROP_HW)
        masks = mask_times(view, shelf, plain, min(24, len(pairs)))
        options: dict[str, Any] = {"batch_size": BATCH, "crop": CROP_HW, "workers": WORKERS}
        rival = torch.utils.data.DataLoader(
            plain,
            batch_size=BATCH,
            shuffle=True,
            num_workers=WORKERS,
            persistent_workers=True,
            multiprocessing_context="spawn",
        )
        feeds = {
            OURS: loader(view, kept=shelf, **options),
            KEEPING_NOTHING: loader(view, **options),
            label: rival,
        }
        epochs = race_epochs(feeds, len(pairs), 1 if quick else 7)
    finally:
        shutil.rmtree(folder)

    def times_faster(found: Times, mine: str, unit: str) -> float:
        return found[label][unit] / found[mine][unit]

    save(
        "loader",
        "Feeding training",
        [
            Bar("samples a second, wall, second epoch", times_faster(epochs, OURS, "wall_ms"), must=2, unit="×"),
            Bar("the same by CPU time of all processes", times_faster(epochs, OURS, "cpu_ms"), must=2, unit="×"),
            Bar("the same, no label map kept", times_faster(epochs, KEEPING_NOTHING, "wall_ms"), unit="×"),
            Bar("the mask part alone, CPU time", times_faster(masks, OURS, "cpu_ms"), must=10, unit="×"),
            Bar("the same, no label map kept", times_faster(masks, KEEPING_NOTHING, "cpu_ms"), unit="×"),
            Bar("smalti", 1e3 / epochs[OURS]["wall_ms"], unit="samples/s", decimals=0),
        ],
        quick=quick,
        about="CamVid 960×720, JPEG images and RGB PNG masks, windows of 512×512, batches of 8, two workers, beside a plain "
        "torch Dataset with OpenCV and a NumPy table; epochs in turn, medians.",
        epochs=epochs,
        masks=masks,
    )


if __name__ == "__main__":
    main()
