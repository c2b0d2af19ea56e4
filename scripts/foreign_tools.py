"""Do the formats' own tools read what `smalti export` writes? Exports the demo, reads it back with Datumaro, pycocotools
and cityscapesScripts, and compares the pixels per label with what went in.

    sh scripts/foreign_tools.sh        in an environment of its own (.tools-venv); the tools are large, so no test needs it

Prints a line per layout; the exit code is the number of layouts in which a tool read something else than we wrote.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smalti.demo import write_demo
from smalti.formats import load
from smalti.formats.protocol import Writing
from smalti.frames import SingleFrame
from smalti.reading import read_frames

Pixels = Counter[str]
DATUMARO = {
    "camvid": "camvid",
    "cityscapes": "cityscapes",
    "coco": "coco_instances",
    "coco-panoptic": "coco_panoptic",
    "cvat": "cvat",
    "datumaro": "datumaro",
    "kitti": "kitti_segmentation",
    "voc": "voc_segmentation",
}
# What Datumaro 1.13 does not read, whoever wrote it: the label that it numbers 0, and pixels of no object in VOC.
KNOWN = {
    ("cityscapes", "Datumaro"): {"road"},
    ("voc", "Datumaro"): {"sky", "building", "tree", "road", "sidewalk", "lane", "pole"},
}
VOID = {"background", "void", "unlabeled", "border", "ignored"}


def written(frames: list[SingleFrame], layout: str, folder: Path) -> Pixels:
    """Export, and the pixels per label that our own reader finds in the masks or shapes that were written."""
    module = load(layout)
    module.write(iter(frames), folder, Writing(split="train", images="copy"))
    return counted(module.read(folder))


def counted(frames: object) -> Pixels:
    from smalti.formats.content import painted

    found: Pixels = Counter()
    for frame in frames:  # type: ignore[attr-defined]
        drawn = painted(frame)
        numbers = np.bincount(drawn.data.ravel(), minlength=len(drawn.items) + 1)
        for item, pixels in zip(drawn.items, numbers[1:].tolist(), strict=True):
            found[item.label] += pixels
    return Counter({label: pixels for label, pixels in found.items() if pixels and label.lower() not in VOID})


def by_datumaro(layout: str) -> Callable[[Path], Pixels]:
    def read(folder: Path) -> Pixels:
        import datumaro

        found = datumaro.Dataset.import_from(str(folder), DATUMARO[layout])
        names = [category.name for category in found.categories()[datumaro.AnnotationType.label]]
        counts: Pixels = Counter()
        for item in found:
            size = item.media.size if item.media is not None and item.media.size else None
            canvas = np.zeros(size, np.int32) if size else None
            for one in sorted(item.annotations, key=lambda a: getattr(a, "z_order", 0)):
                drawn = mask_of(one, size)
                if drawn is None:
                    continue
                canvas = np.zeros(drawn.shape, np.int32) if canvas is None else canvas
                canvas[drawn.astype(bool)] = one.label + 1
            for value, pixels in zip(*np.unique(canvas, return_counts=True), strict=True) if canvas is not None else ():
                if value:
                    counts[names[value - 1]] += int(pixels)
        return Counter({label: pixels for label, pixels in counts.items() if label.lower() not in VOID})

    return read


def mask_of(one: object, size: tuple[int, int] | None) -> np.ndarray | None:
    """The pixels of an annotation: a mask as it is, a polygon as pycocotools draws it."""
    from pycocotools import mask as coco

    if hasattr(one, "image"):
        return np.asarray(one.image)
    if hasattr(one, "points") and type(one).__name__ == "Polygon" and size is not None:
        return coco.decode(coco.merge(coco.frPyObjects([one.points], *size)))
    return None


def by_cityscapes_scripts(folder: Path) -> Pixels:
    np.in1d = np.isin  # the name that cityscapesScripts 2.3.0 knows
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation
    from cityscapesscripts.helpers.labels import id2label

    truth = sorted(str(path) for path in folder.rglob("*_gtFine_labelIds.png"))
    evaluation.args.quiet = True
    scores = evaluation.evaluateImgLists(truth, truth, evaluation.args)["classScores"]
    matrix = np.array(evaluation.generateMatrix(evaluation.args))
    for path in truth:
        evaluation.evaluatePair(
            path, path, matrix, evaluation.generateInstanceStats(evaluation.args), {}, evaluation.args
        )
    assert all(score == 1 or np.isnan(score) for score in scores.values()), scores
    counts = {id2label[i].name: int(matrix[i].sum()) for i in range(len(matrix)) if i in id2label}
    return Counter({label: pixels for label, pixels in counts.items() if pixels and label not in VOID})


def main() -> int:
    """Every layout with every tool that reads it."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_demo(root / "demo")
        frames = list(read_frames(root / "demo" / "frames.jsonl"))
        tools = [(layout, "Datumaro", by_datumaro(layout)) for layout in DATUMARO]
        tools.append(("cityscapes", "cityscapesScripts", by_cityscapes_scripts))
        for layout, tool, read in tools:
            place = root / f"{layout}-{tool}"
            ours = written(frames, layout, place)
            try:
                theirs = read(place)
            except Exception as error:  # whatever a stranger's tool raises is the finding
                wrong += 1
                print(f"{layout:14} {tool:18} refuses: {type(error).__name__}: {error.__cause__ or error}", flush=True)
                continue
            unread = KNOWN.get((layout, tool), set()) - set(theirs)
            expected = Counter({label: pixels for label, pixels in ours.items() if label not in unread})
            said = "the same" if expected == theirs else f"ours {json.dumps(ours)}, theirs {json.dumps(theirs)}"
            said += f"; the tool reads no {', '.join(sorted(unread))}" if unread else ""
            wrong += expected != theirs
            print(f"{layout:14} {tool:18} {len(ours):3} labels, {sum(ours.values())} pixels: {said}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
