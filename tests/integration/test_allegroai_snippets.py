"""Scripts in the manner of ClearML's guides: they say `allegroai`, and run after one import is changed.

Each snippet prints what it found; the figures beside it are counted by hand from what the snippet registers.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smalti

REGISTER = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="cats", tags=["pets"])
version = DatasetVersion.create_version(dataset_name="cats", version_name="v1")
frames = []
for number in range(4):
    frame = SingleFrame(
        source=f"images/{number}.png", width=8, height=4, preview_uri=f"images/{number}.png",
        metadata={"batch": number % 2, "alive": "yes"},
    )
    frame.add_annotation(box2d_xywh=(1, 1, 3, 2), labels=["cat"], confidence=0.25 * number)
    frames.append(frame)
failed = version.add_frames(frames)
version.commit_version()
again = DatasetVersion.get_version(dataset_name="cats", version_name="v1")
found = again.get_single_frame(frames[2].id)
print(failed, len(frames), found.metadata["batch"], found.get_annotations()[0].bounding_box_xywh, found.width)
"""

ONE_MASK = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="masks")
version = DatasetVersion.create_version("v1", dataset_name="masks")
version.set_masks_labels({(255, 0, 0): ["cat"], (0, 0, 255): ["sky", "background"]})
version.add_frames([SingleFrame(source="images/0.png", mask_source="masks/0.png", metadata={"city": "bremen"})])
version.publish_version()
for frame in DatasetVersion.get_version(dataset_name="masks", version_name="v1").get_iterator():
    seg = frame.label_map()
    print(sorted(version.get_masks_labels().items()), int(seg["cat"].sum()), int(seg["sky"].sum()))
"""

MASK_ANNOTATIONS = """
from allegroai import Dataset, SingleFrame

Dataset.create(dataset_name="own legend")
version = Dataset.get(dataset_name="own legend").create_version(version_name="v1")
frame = SingleFrame(source="images/0.png", mask_source="masks/0.png")
frame.add_annotation(mask_rgb=[255, 0, 0], labels=["cat"])
frame.add_annotation(mask_rgb=[0, 0, 255], labels=["sky"])
version.add_frames([frame])
(found,) = version.get_iterator()
print(int(found.label_map()["cat"].sum()), [(a.mask_rgb, a.labels) for a in found.get_annotations()])
"""

SEVERAL_MASKS = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="several")
version = DatasetVersion.create_version(dataset_name="several", version_name="v1")
frame = SingleFrame(source="images/0.png")
frame.masks_source = {"first": "masks/0.png", "second": "masks/1.png"}
frame.add_annotation(mask_rgb=(255, 0, 0), mask_id="first", labels=["cat"])
frame.add_annotation(mask_rgb=(255, 0, 0), mask_id="second", labels=["dog"])
version.add_frames([frame])
(found,) = version.get_iterator()
paths = found.get_local_masks_source()
print(sorted(paths), int(found.label_map("first")["cat"].sum()), int(found.label_map("second")["dog"].sum()))
listed = SingleFrame(source="images/0.png")
listed.masks_source = ["masks/0.png", "masks/1.png"]
print(sorted(listed.masks_source), listed.mask_source)
"""

VERSIONS = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="tree")
first = DatasetVersion.create_version(version_name="first", dataset_name="tree")
first.add_frames([SingleFrame(id=n, source=f"images/{n}.png") for n in range(3)])
first.commit_version()
first.publish_version()
second = DatasetVersion.create_version(
    version_name="second", dataset_name="tree", parent_version_names=["first"], description="one fewer"
)
second.delete_frames(["0"])
second.add_frames([SingleFrame(id="new", source="images/3.png")])
ids = sorted(frame.id for frame in second.get_iterator())
names = [version.version_name for version in DatasetVersion.get_versions(dataset_name="tree", only_draft=True)]
print(ids, len(first), second.get_parent() == first.version_id, second.comment, sorted(names))
"""

SNAPSHOT = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="simple")
current = DatasetVersion.get_current(dataset_name="simple")
current.add_frames([SingleFrame(source="images/0.png")])
went_on = DatasetVersion.create_snapshot(
    dataset_name="simple", publish_name="monday", publish_metadata={"who": "me"}, child_comment="goes on"
)
went_on.add_frames([SingleFrame(source="images/1.png")])
monday = DatasetVersion.get_version(dataset_name="simple", version_name="monday")
print(current.version_name, monday.draft, len(monday), monday.get_metadata()["who"], monday.version_id == current.id)
print(went_on.version_name, went_on.draft, len(went_on), went_on.comment)
unnamed = DatasetVersion.create_snapshot(dataset_name="simple")
names = sorted(version.version_name for version in DatasetVersion.get_versions(dataset_name="simple"))
print([name[:9] for name in names])
"""

ANIMALS = """
from allegroai import DatasetVersion, SingleFrame

DatasetVersion.create_new_dataset(dataset_name="animals")
version = DatasetVersion.create_version(dataset_name="animals", version_name="v1")
for number in range(12):
    frame = SingleFrame(
        id=f"a{number:02d}", source=f"images/{number % 4}.png", context_id=f"drive{number // 6}", timestamp=number,
        metadata={"city": "bremen" if number < 8 else "ulm"},
    )
    frame.add_annotation(box2d_xywh=(0, 0, 2, 2), labels=["cat"] if number % 3 == 0 else ["dog"])
    if number % 4 == 0:
        frame.add_annotation(box2d_xywh=(1, 1, 2, 2), labels=["dog", "occluded"])
    version.add_frames([frame])
version.publish_version()
"""

QUERIES = """
from allegroai import DataView, IterationOrder

view = DataView(name="cats and dogs", iteration_order=IterationOrder.sequential)
view.add_query(dataset_name="animals", version_name="v1", roi_query="cat")
view.add_query(dataset_name="animals", version_name="v1", roi_query=["dog", "occluded"], frame_query="meta.city:ulm")
print(view.get_count(), [frame.id for frame in view.get_iterator()])
both = DataView()
both.add_multi_query(
    dataset_name="animals", version_name="v1",
    roi_queries=[DataView.RoiQuery(label="cat"), DataView.RoiQuery(label="dog", must_not=True)],
)
print([row["id"] for row in both.to_dict(projection=["id", "dataset.id"])])
"""

WEIGHTS = """
from collections import Counter

from allegroai import DataView, IterationOrder

view = DataView(
    iteration_order=IterationOrder.random, iteration_infinite=True, maximum_number_of_frames=400
)
view.add_query(dataset_name="animals", version_name="v1", frame_query="meta.city:bremen", weight=1)
view.add_query(dataset_name="animals", version_name="v1", frame_query="meta.city:ulm", weight=3)
view.set_iteration_parameters(random_seed=123)
found = Counter(frame.metadata["city"] for frame in view)
again = [frame.id for frame in view]
print(sum(found.values()), 96 <= found["bremen"] <= 104, again == [frame.id for frame in view.get_iterator()])
"""

MAPPING = """
from allegroai import DataView

view = DataView()
view.add_query(dataset_name="animals", version_name="v1", roi_query="occluded")
view.add_mapping_rule(from_labels=["dog", "occluded"], to_label="hidden_dog", dataset_name="animals")
view.set_labels({"cat": 1, "dog": 2, "hidden_dog": 3})
for frame in view.to_list():
    print(frame.id, [annotation.label_enum for annotation in frame.annotations])
view.set_labels(cat=1)
print([annotation.label_enum for annotation in view.to_list()[0].annotations])
"""

ITERATION = """
from allegroai import DataView, DatasetVersion, FrameGroup, SingleFrame
from allegroai.dataframe import BoundingBox2D, ImageAnnotation

version = DatasetVersion.create_version(dataset_name="animals", version_name="groups", parent_version_names=["v1"])
group = FrameGroup(id="pair", metadata={"city": "jena"}, left=SingleFrame(source="images/0.png"))
group["right"] = SingleFrame(source="images/1.png", mask_source="masks/1.png")
group.add_global_annotation(ImageAnnotation(labels=["rainy"]))
with version.get_bulk_context() as bulk:
    bulk.add_frame(group)
    bulk.delete_frame("a00")
view = DataView(iteration_order="random", maximum_number_of_frames=5)
view.add_query(dataset_name="animals", version_name="groups")
print(len(version), view.get_count()[0], len(view.to_list()))
view.prefetch_files(wait=True)
rainy = DataView()
rainy.add_query(dataset_name="animals", version_name="groups", roi_query="rainy")
(found,) = rainy
print(isinstance(found, FrameGroup), sorted(found), found.origin["version_name"], found["right"].annotations[0].labels)
boxes = [a for frame in version.get_iterator() if isinstance(frame, SingleFrame)
         for a in frame.get_annotations() if isinstance(a, BoundingBox2D)]
print(len(boxes))
"""

# What each one prints. masks/0.png has 5 red and 27 blue pixels, masks/1.png 11 red ones.
SNIPPETS: dict[str, tuple[str, list[str]]] = {
    "register": (REGISTER, ["[] 4 0 [1, 1, 3, 2] 8"]),
    "one_mask": (ONE_MASK, ["[((0, 0, 255), ['sky', 'background']), ((255, 0, 0), ['cat'])] 5 27"]),
    "mask_annotations": (MASK_ANNOTATIONS, ["5 [([255, 0, 0], ['cat']), ([0, 0, 255], ['sky'])]"]),
    "several_masks": (SEVERAL_MASKS, ["['first', 'second'] 5 11", "['00', '01'] masks/0.png"]),
    "versions": (VERSIONS, ["['1', '2', 'new'] 3 True one fewer ['Current', 'second']"]),
    "snapshot": (
        SNAPSHOT,
        ["monday False 1 me True", "Current True 2 goes on", "['Current', 'monday', 'snapshot ']"],
    ),
    "queries": (
        ANIMALS + QUERIES,
        # cats: 0, 3, 6, 9; occluded dogs in Ulm (8 to 11): 8.
        ["(5, [4, 1]) ['a00', 'a03', 'a06', 'a08', 'a09']", "['a03', 'a06', 'a09']"],
    ),
    "weights": (ANIMALS + WEIGHTS, ["400 True True"]),
    "mapping": (ANIMALS + MAPPING, ["a00 [1, 3]", "a04 [2, 3]", "a08 [2, 3]", "[1, -1]"]),
    # 12 animals, without one, with a pair; boxes: 12 and 3 of occluded dogs, less the two of a00.
    "iteration": (ANIMALS + ITERATION, ["12 12 5", "True ['left', 'right'] groups ['rainy']", "13"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of 8 × 4 and two masks."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(4):
        Image.new("RGB", (8, 4), (number * 40, 90, 30)).save(tmp_path / "images" / f"{number}.png")
    for number, reds in ((0, 5), (1, 11)):
        pixels = np.full((32, 3), (0, 0, 255), np.uint8)
        pixels[:reds] = 255, 0, 0
        Image.fromarray(pixels.reshape(4, 8, 3)).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_runs_after_changing_one_import(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SMALTI_STORE", str(folder / "store"))
    code, expected = SNIPPETS[name]
    changed = code.replace("from allegroai", "from smalti.allegroai")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(changed, name, "exec"), namespace)
    assert capsys.readouterr().out.splitlines() == expected


def _environment(folder: Path) -> dict[str, str]:
    home = str(Path(smalti.__file__).parents[1])
    return {**os.environ, "SMALTI_STORE": str(folder / "store"), "PYTHONPATH": home}


def _run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(code)
    command = [sys.executable, "-m", "smalti.allegroai", "script.py", *arguments]
    return subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["one_mask", "iteration"])
def test_an_unchanged_script_runs(name: str, folder: Path) -> None:
    code, expected = SNIPPETS[name]
    done = _run(folder, code)
    assert (done.stdout.splitlines(), done.returncode) == (expected, 0), done.stderr


SPAWNS = """
import multiprocessing
import sys

import allegroai.dataframe
from allegroai import SingleFrame


def width(number):
    return SingleFrame(source="a.png", width=number).width


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(width, [3, 4]), sys.argv[1:], __file__.endswith("script.py"))
"""


def test_workers_that_a_script_spawns_find_the_names_too(folder: Path) -> None:
    done = _run(folder, SPAWNS, "--epochs", "3")
    assert done.stdout.strip() == "[3, 4] ['--epochs', '3'] True", done.stderr


def test_a_script_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = _run(tmp_path, "raise SystemExit(7)")
    assert done.returncode == 7
    (tmp_path / "script.py").unlink()
    command = [sys.executable, "-m", "smalti.allegroai", "script.py"]
    missing = subprocess.run(
        command, cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "there is no script 'script.py'" in missing.stderr
