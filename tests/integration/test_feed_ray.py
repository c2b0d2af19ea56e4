"""Ray Data on a local Ray of two CPUs: rows are those of the view, tasks carry their own frames only, drafts are shared."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti.errors import FrameError, VersionFrozen

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.data", reason="Ray Data is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),  # Ray warns of itself
    # Ray starts its processes by fork and exec at once; Lance, where an earlier test loaded it, warns of any fork.
    pytest.mark.filterwarnings("ignore:lance is not fork-safe:UserWarning"),
]

from smalti.feed.ray import ViewDatasource, frame_of, read_view, row_of, write_frames  # noqa: E402
from smalti.feed.samples import Samples  # noqa: E402

RED, GREEN = (200, 0, 0), (0, 200, 0)
COUNT = 24


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", object_store_memory=200 * 2**20
    )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[sm.SingleFrame]:
    folder = tmp_path_factory.mktemp("pictures")
    found = []
    for number in range(COUNT):
        mask = np.zeros((20, 30, 3), np.uint8)
        mask[:, : number + 1] = RED
        Image.fromarray(mask).save(folder / f"m{number}.png")
        Image.fromarray(np.full((20, 30, 3), number, np.uint8)).save(folder / f"i{number}.png")
        frame = sm.SingleFrame(
            str(folder / f"i{number}.png"),
            id=f"f{number:02d}",
            context_id="c",
            masks_source={"seg": str(folder / f"m{number}.png")},
        )
        frame.add_annotation(mask_rgb=RED, mask_id="seg", labels=["car"])
        found.append(frame)
    return found


def test_rows_are_the_samples_of_the_view_whatever_the_tasks(frames: list[sm.SingleFrame]) -> None:
    view = sm.DataView(frames, iteration_order="random").map_labels({"car": 1})
    rows = read_view(view, blocks=5, crop=(8, 9)).take_all()
    samples = Samples(view, crop=(8, 9))
    assert sorted(row["position"] for row in rows) == list(range(COUNT))
    for row in rows:
        truth = samples[row["position"]]
        assert row["id"] == truth.frame_id
        np.testing.assert_array_equal(row["image"], truth.image)
        np.testing.assert_array_equal(row["mask"], truth.mask)
        assert frame_of(row).id == row["id"]


def test_pictures_of_several_sizes_share_a_column(frames: list[sm.SingleFrame], tmp_path: Path) -> None:
    Image.fromarray(np.zeros((7, 5, 3), np.uint8)).save(tmp_path / "small.png")
    small = sm.SingleFrame(str(tmp_path / "small.png"), id="small", mask_source=str(tmp_path / "small.png"))
    small.add_annotation(mask_rgb=(0, 0, 0), labels=["car"])
    rows = read_view(sm.DataView([frames[3], small]).map_labels({"car": 1}), blocks=1).take_all()
    assert sorted(row["image"].shape for row in rows) == [(7, 5, 3), (20, 30, 3)]


def test_a_task_carries_its_own_frames_only(frames: list[sm.SingleFrame]) -> None:
    many = [sm.SingleFrame(f"/none/{i}.png", id=f"n{i:05d}", context_id="c") for i in range(4000)]
    source = ViewDatasource(Samples(sm.DataView(many)), pixels=False)
    tasks = source.get_read_tasks(100)
    assert [task.metadata.num_rows for task in tasks] == [40] * 100
    whole = len(ray.cloudpickle.dumps(Samples(sm.DataView(many))))
    assert len(ray.cloudpickle.dumps(tasks[7].read_fn)) < whole / 20
    with pytest.raises(FrameError, match="never ends"):
        read_view(sm.DataView(frames, iteration_infinite=True))


def test_what_cannot_be_read_is_left_out_or_raises(frames: list[sm.SingleFrame], tmp_path: Path) -> None:
    broken = sm.SingleFrame(str(tmp_path / "no.png"), id="broken", mask_source=str(tmp_path / "no.png"))
    broken.add_annotation(mask_rgb=RED, labels=["car"])
    view = sm.DataView([*frames[:3], broken]).map_labels({"car": 1})
    assert {row["id"] for row in read_view(view, blocks=2, on_error="skip").take_all()} == {"f00", "f01", "f02"}
    with pytest.raises(Exception, match=r"no\.png"):
        read_view(view, blocks=2).take_all()


def predict(row: dict[str, Any]) -> dict[str, Any]:
    """What a model would do: a new mask beside the old one, and a word about it."""
    frame = frame_of(row)
    path = Path(frame.source).with_suffix(".guess.png")
    guess = np.zeros((*row["mask"].shape, 3), np.uint8)
    guess[:, :10] = GREEN
    Image.fromarray(guess).save(path)
    frame.masks_source = {**frame.masks_source, "guess": str(path)}
    frame.add_annotation(mask_rgb=GREEN, mask_id="guess", labels=["guessed"])
    frame.metadata["seen"] = int((row["mask"] == 1).sum())
    return row_of(frame)


def test_results_and_mask_facts_go_back_to_a_draft_from_several_tasks(
    frames: list[sm.SingleFrame], tmp_path: Path
) -> None:
    dataset = sm.open(tmp_path / "store").create_dataset("street")
    first = dataset.create_version("v1")
    assert first.add_frames(frames) == []
    first.publish()
    draft = first.child("v2")
    view = first.view("label:car").map_labels({"car": 1})
    pickle.dumps(draft)
    failed = write_frames(read_view(view, blocks=6, mask_id="seg").map(predict), draft, facts=True)
    assert failed == []
    assert len(draft) == COUNT
    assert draft.view("mask.guessed.pixels:200").count() == COUNT
    assert {frame.metadata["seen"] for frame in draft} == {20 * (number + 1) for number in range(COUNT)}
    assert first.view("label:guessed").count() == 0
    bad = ray.data.from_items([{"frame": '{"id": "x", "sources": []}'}, {"frame": "nonsense"}])
    assert len(write_frames(bad, draft)) == 2
    draft.publish()
    with pytest.raises(Exception, match=VersionFrozen.__name__):
        write_frames(read_view(view, pixels=False), draft)
